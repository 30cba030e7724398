"""Draw the anatomy that the reference images of a subject's runs are seen beside."""

from mebold.figures import flicker
from mebold.figures.style import save
from mebold.files import images
from mebold.jobs.script import job

with job(snakemake):
    files = snakemake.input
    outlines = dict(zip(("mask", "affine"), images.load(files.anchor_mask), strict=True))
    outlines["dseg"] = images.load(files.tissue)[0] if files.tissue else None
    shown = flicker.frames(
        {"anatomy": images.load(files.anchor)}, **outlines, title=snakemake.wildcards.sub
    )
    save(shown["anatomy"], snakemake.output.figure)
