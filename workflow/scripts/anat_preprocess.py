"""Correct the bias field of a T1w image, find the brain and its tissue classes."""

from mebold.anat import bias, brain_mask, labels, tissue
from mebold.figures.anat import segmentation
from mebold.figures.style import save
from mebold.files import images
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    raw, affine = images.load_volume(snakemake.input.t1w)
    brain = brain_mask.brain_mask(raw, affine)
    t1w = bias.bias_correct(raw, affine, brain)
    dseg, probseg = tissue.tissue_segmentation(t1w, affine, brain)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numpy"])
    out = snakemake.output
    images.save(out.t1w, t1w, affine, metadata=about(SkullStripped=False, Units="arbitrary"))
    images.save(out.mask, brain, affine, dtype="uint8", metadata=about(Type="Brain"))
    images.save(out.dseg, dseg, affine, dtype="uint8", metadata=about(LabelMap=labels.LABEL_MAP))
    for name, probability in zip(("csf", "gm", "wm"), probseg, strict=True):
        images.save(getattr(out, name), probability, affine, metadata=about(Units="probability"))
    save(segmentation(t1w, affine, dseg=dseg, brain_mask=brain), out.figure)
