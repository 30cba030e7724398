"""Align the reference image of a subject with the T1w image."""

from mebold.anat import epi_mask
from mebold.coreg import align
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.jobs import sidecar
from mebold.jobs.script import job, owner
from mebold.registration import doubts

with job(snakemake) as log:
    boldref, affine = images.load(snakemake.input.boldref)
    t1w, t1w_affine = images.load(snakemake.input.t1w)
    mask = images.load_mask(snakemake.input.mask)[0]
    settings = snakemake.params.settings
    matrix, quality = align.boldref_to_t1w(
        boldref,
        affine,
        t1w,
        t1w_affine,
        boldref_mask=epi_mask.epi_mask(boldref, affine),
        t1w_mask=mask,
        wm_probability=images.load(snakemake.input.wm)[0],
        t2w=images.load_volume(snakemake.input.t2w) if snakemake.input.t2w else None,
        target=settings["target"],
        seed=snakemake.params.seed,
        max_bbr_shift_mm=settings["bbr_limit_mm"],
        least_bbr_gain=settings["bbr_least_gain"],
        least_mutual_information=settings["least_mutual_information"],
    )
    transforms.save_xfm(snakemake.output.xfm, matrix)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numpy", "scipy"])
    found = quality.pop("t2w_doubts") + doubts.of(quality, settings, doubts.COREG)
    for doubt in found:
        log.warning("%s: %s", snakemake.output.xfm, doubt)
    tables.write_json(snakemake.output.info, about(Quality=quality, Warnings=found))
    log.info(
        "aligned with the %s first (boundary costs: %s)", quality["image"], quality["image_costs"]
    )
    text = doubts.caption(quality, found)
    texts = {"title": f"Alignment of BOLD and T1w, {owner(snakemake)}", "subtitle": text}
    figure = registration(boldref, affine, t1w, t1w_affine, matrix, mask=mask, **texts)
    save(figure, snakemake.output.figure)
