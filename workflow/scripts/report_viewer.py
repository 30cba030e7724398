"""Write a noise-ceiling map as a page to look through."""

import numpy as np

from mebold.figures import viewer
from mebold.files import atomic, images, tables
from mebold.jobs.script import job, owner

with job(snakemake):
    files, out = snakemake.input, snakemake.output
    percent, affine = images.load(files.nc)
    mask, _ = images.load_mask(files.mask)
    page = viewer.ceiling(
        percent,
        affine,
        underlay=np.asarray(images.load(files.underlay)[0]),
        mask=mask,
        threshold=tables.read_json(tables.sidecar(files.nc)).get("ChanceThreshold"),
        title=f"Noise ceiling (%), {owner(snakemake)}",
    )
    with atomic.atomic(out.page) as partial:
        partial.write_text(page, encoding="utf-8")
