"""Find the brain of a T1w with the network of the optional package antspynet."""

from mebold.anat import antspynet
from mebold.files import images
from mebold.jobs.script import job

with job(snakemake):
    files, settings = snakemake.input, dict(snakemake.params.settings)
    settings.pop("use")
    volume, affine = images.load_volume(files.get("mask_source") or files.t1w)
    found = antspynet.brain_mask(volume, affine, **settings)
    images.save(snakemake.output.mask, found, affine, dtype="uint8")
