"""Align the reference image of a subject with the T1w image."""

from mebold import anat, coreg, coreg_quality, derivatives, figures, nifti
from mebold.jobs import job

with job(snakemake) as log:
    boldref, affine = nifti.load(snakemake.input.boldref)
    t1w, t1w_affine = nifti.load(snakemake.input.t1w)
    mask = nifti.load_mask(snakemake.input.mask)[0]
    matrix, quality = coreg.boldref_to_t1w(
        boldref,
        affine,
        t1w,
        t1w_affine,
        boldref_mask=anat.epi_mask(boldref, affine),
        t1w_mask=mask,
        wm_probability=nifti.load(snakemake.input.wm)[0],
        t2w=nifti.load(snakemake.input.t2w) if snakemake.input.t2w else None,
        target=snakemake.params.settings["target"],
        seed=snakemake.params.seed,
        max_bbr_shift_mm=snakemake.params.settings["bbr_limit_mm"],
    )
    nifti.save_xfm(snakemake.output.xfm, matrix)
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "numpy", "scipy"])
    found = coreg_quality.of(quality, snakemake.params.settings, coreg_quality.COREG)
    for doubt in found:
        log.warning("%s: %s", snakemake.output.xfm, doubt)
    nifti.write_json(snakemake.output.info, about(Quality=quality, Warnings=found))
    log.info(
        "aligned with the %s first (boundary costs: %s)", quality["image"], quality["image_costs"]
    )
    text = coreg_quality.caption(quality, found)
    figure = figures.registration(
        boldref, affine, t1w, t1w_affine, matrix, mask=mask, subtitle=text
    )
    figures.save(figure, snakemake.output.figure)
