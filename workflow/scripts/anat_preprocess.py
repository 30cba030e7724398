"""Correct the bias field of a T1w image, find the brain and its tissue classes."""

from mebold.anat import bias, brain_mask, tissue
from mebold.anat.labels import TISSUES
from mebold.figures import anat as figures
from mebold.figures.style import save
from mebold.files import images, segmentation
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    raw, affine = images.load_volume(snakemake.input.t1w)
    files = snakemake.input
    if files.get("given_mask"):
        brain = images.load_mask(files.given_mask)[0]
    else:
        source = files.get("mask_source")
        seen = images.load_volume(source)[0] if source else raw
        brain = brain_mask.brain_mask(seen, affine)
    t1w = bias.bias_correct(raw, affine, brain)
    dseg, probseg = tissue.tissue_segmentation(t1w, affine, brain)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numpy"])
    out = snakemake.output
    images.save(out.t1w, t1w, affine, metadata=about(SkullStripped=False, Units="arbitrary"))
    images.save(out.mask, brain, affine, dtype="uint8", metadata=about(Type="Brain"))
    segmentation.save(out.dseg, dseg, affine, metadata=about())
    for name, probability in zip(TISSUES, probseg, strict=True):
        path = getattr(out, name.lower())
        images.save(path, probability, affine, metadata=about(Units="probability"))
    save(figures.segmentation(t1w, affine, dseg=dseg, brain_mask=brain), out.figure)
