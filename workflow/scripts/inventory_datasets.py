"""Describe every output folder as a BIDS derivative dataset."""

from pathlib import Path

from mebold.files import atomic, datasets, descriptions, tables
from mebold.jobs.script import job

with job(snakemake):
    names = list(snakemake.params.names)
    root = Path(snakemake.output[0]).parents[1]
    for name in names:
        folder = root / name
        description = datasets.description(
            name, raw=snakemake.params.bids_dir, folder=folder, siblings=names
        )
        tables.write_json(folder / "dataset_description.json", description)
        parts = tuple(snakemake.params.parts)
        tables.write_tsv(folder / "descriptions.tsv", descriptions.table(name, parts=parts))
        for file, text in datasets.texts(name).items():
            with atomic.atomic(folder / file) as partial:
                partial.write_text(text)
