"""Describe every output folder as a BIDS derivative dataset."""

from pathlib import Path

from mebold import derivatives, nifti
from mebold.jobs import job

with job(snakemake):
    names = list(snakemake.params.names)
    root = Path(snakemake.output[0]).parents[1]
    for name in names:
        folder = root / name
        description = derivatives.description(
            name, raw=snakemake.params.bids_dir, folder=folder, siblings=names
        )
        nifti.write_json(folder / "dataset_description.json", description)
        for file, text in derivatives.texts(name).items():
            with nifti.atomic(folder / file) as partial:
                partial.write_text(text)
