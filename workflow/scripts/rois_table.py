"""Summarise the noise ceilings of a subject in regions of interest."""

from pathlib import Path

import pandas as pd

from mebold.files import bids, images
from mebold.files.tables import write_tsv
from mebold.jobs import coverage
from mebold.jobs.script import job
from mebold.rois import masks, tissue
from mebold.rois.table import parse_labels, roi_table
from mebold.variants import variant_of

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.grid)
    regions, categories = {}, {}
    for entry in snakemake.params.regions:
        paths = snakemake.input.masks[:1] if entry["source"] == "visual" else [entry["path"]]
        for path in paths:
            volume, own = images.load_volume(path)
            masks.check_grid(
                volume.shape, own, mask.shape, affine, name=path, reference_name="the output grid"
            )
            if entry["source"] == "atlas":
                wanted = {entry["name"]: parse_labels(entry["labels"])}
                volume = masks.masks_from_labels(volume, wanted, name=path)[entry["name"]]
            regions[entry["name"]] = masks.roi_vector(volume, mask, name=path) > 0
            categories[entry["name"]] = entry["category"]
    if not regions:
        # No comparison chose a region: images repeat across sessions only, or it is switched off.
        dseg = images.load(snakemake.input.dseg)[0][mask]
        regions, categories = tissue.grey_or_all(dseg)
    tables = []
    for path in snakemake.input.maps:
        entities = bids.parse(Path(path).name)
        variant = variant_of(Path(path).relative_to(snakemake.config["output_dir"]).parts[0])
        maps = {entities["description"]: coverage.read_known(path, mask)}
        table = roi_table(maps, regions, categories=categories, variant=variant)
        table.insert(0, "session", entities.get("session", "all"))
        tables.append(table)
    result = pd.concat(tables) if tables else pd.DataFrame()
    result.insert(0, "subject", snakemake.wildcards.sub.removeprefix("sub-"))
    write_tsv(snakemake.output.table, result)
