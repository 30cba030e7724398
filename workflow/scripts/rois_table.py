"""Summarise the noise ceilings of a subject in regions of interest."""

from pathlib import Path

import pandas as pd

from mebold import bids, nifti, rois
from mebold.jobs import job
from mebold.runs import variant_of

with job(snakemake):
    mask, affine = nifti.load_mask(snakemake.input.grid)
    listed = nifti.read_tsv(snakemake.params.rois) if snakemake.params.rois else None
    regions, categories = {}, {}
    for entry in rois.entries(listed, subject=snakemake.wildcards.sub):
        paths = snakemake.input.masks[:1] if entry["source"] == "visual" else [entry["path"]]
        for path in paths:
            volume, own = nifti.load(path)
            rois.check_grid(
                volume.shape, own, mask.shape, affine, name=path, reference_name="the output grid"
            )
            if entry["source"] == "atlas":
                wanted = {entry["name"]: rois.parse_labels(entry["labels"])}
                volume = rois.masks_from_labels(volume, wanted, name=path)[entry["name"]]
            regions[entry["name"]] = rois.roi_vector(volume, mask, name=path) > 0
            categories[entry["name"]] = entry["category"]
    tables = []
    for path in snakemake.input.maps:
        entities = bids.parse(Path(path).name)
        variant = variant_of(Path(path).relative_to(snakemake.config["output_dir"]).parts[0])
        maps = {entities["description"]: nifti.load(path)[0][mask]}
        table = rois.roi_table(maps, regions, categories=categories, variant=variant)
        table.insert(0, "session", entities.get("session", "all"))
        tables.append(table)
    result = pd.concat(tables) if tables else pd.DataFrame()
    result.insert(0, "subject", snakemake.wildcards.sub.removeprefix("sub-"))
    nifti.write_tsv(snakemake.output.table, result)
