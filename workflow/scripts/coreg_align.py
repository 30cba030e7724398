"""Align a run to its session, or a session to its subject, and compose with the way to T1w."""

from mebold import derivatives, hmc, nifti
from mebold.jobs import job

with job(snakemake) as log:
    moving, moving_affine = nifti.load(snakemake.input.boldref)
    reference, reference_affine = nifti.load(snakemake.input.subject_boldref)
    to_reference = nifti.load_xfm(snakemake.input.to_t1w)
    matrix = to_reference
    if snakemake.input.boldref != snakemake.input.subject_boldref:
        settings = snakemake.params.hmc
        matrix = (
            hmc.align(
                moving,
                reference,
                moving_affine=moving_affine,
                reference_affine=reference_affine,
                mask=nifti.load_mask(snakemake.input.mask)[0],
                fwhm_mm=settings["fwhm_mm"],
                coarse_mm=settings["coarse_mm"],
            )
            @ to_reference
        )
    nifti.save_xfm(snakemake.output.xfm, matrix)
    about = derivatives.Sidecar(snakemake, packages=["numba", "numpy"])
    nifti.write_json(nifti.sidecar(snakemake.output.xfm), about())
