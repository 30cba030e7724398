"""Correct the bias field of a T1w image, find the brain and its tissue classes."""

from mebold import anat, brainmask, derivatives, figures, nifti
from mebold.jobs import job

with job(snakemake):
    raw, affine = nifti.load(snakemake.input.t1w)
    brain = brainmask.brain_mask(raw, affine)
    t1w = anat.bias_correct(raw, affine, brain)
    dseg, probseg = anat.tissue_segmentation(t1w, affine, brain)
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "nibabel", "numpy"])
    out = snakemake.output
    nifti.save(out.t1w, t1w, affine, metadata=about(SkullStripped=False, Units="arbitrary"))
    nifti.save(out.mask, brain, affine, dtype="uint8", metadata=about(Type="Brain"))
    labels = {"1": "CSF", "2": "GM", "3": "WM"}
    nifti.save(out.dseg, dseg, affine, dtype="uint8", metadata=about(LabelMap=labels))
    for name, probability in zip(("csf", "gm", "wm"), probseg, strict=True):
        nifti.save(getattr(out, name), probability, affine, metadata=about(Units="probability"))
    figures.save(figures.segmentation(t1w, affine, dseg=dseg, brain_mask=brain), out.figure)
