"""Align a run to its session, or a session to its subject, and compose with the way to T1w."""

from mebold import anat, derivatives, hmc, nifti
from mebold.jobs import job

with job(snakemake) as log:
    moving, moving_affine = nifti.load(snakemake.input.boldref[0])
    reference, reference_affine = nifti.load(snakemake.input.subject_boldref[0])
    to_reference = nifti.load_xfm(snakemake.input.to_t1w[0])
    matrix = to_reference
    if snakemake.input.boldref[0] != snakemake.input.subject_boldref[0]:
        settings = snakemake.params.hmc
        matrix = hmc.align(
            moving,
            reference,
            moving_affine=moving_affine,
            reference_affine=reference_affine,
            mask=anat.epi_mask(reference, reference_affine),
            fwhm_mm=settings["fwhm_mm"],
            coarse_mm=settings["coarse_mm"],
        ) @ to_reference
    nifti.save_xfm(snakemake.output.xfm, matrix)
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "numba", "numpy"])
    nifti.write_json(nifti.sidecar(snakemake.output.xfm), about())
