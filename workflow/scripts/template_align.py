"""Align the T1w of a subject with the template, in both directions, and judge it."""

from mebold import coreg_quality, derivatives, figures, mni, nifti, nifti_warp, template
from mebold.jobs import job

with job(snakemake) as log:
    files, settings = snakemake.input, snakemake.params.settings
    if files.get("template"):
        image, affine = nifti.load(files.template)
        mask, mask_affine = nifti.load_mask(files.template_mask)
        template.require_one_grid(image, affine, mask, mask_affine)
        target = template.Brain(image, mask, affine)
    else:
        maps, affine = mni.load_template(1.0)
        target = template.Brain(maps["t1"], maps["brain"] > 0.5, affine)
    t1w, t1w_affine = nifti.load(files.t1w)
    own = template.Brain(t1w, nifti.load_mask(files.mask)[0], t1w_affine)
    options = {"voxel_mm": settings["registration_mm"], "seed": snakemake.params.seed}
    found = template.align(target, own, **options)
    quality, moved = template.quality(target, own, found)
    doubtful = coreg_quality.of(quality, settings, coreg_quality.TEMPLATE)
    log.info("alignment with the template: %s", quality)
    for doubt in doubtful:
        log.warning("%s: %s", snakemake.output.to_t1w, doubt)
    about = derivatives.Sidecar(
        snakemake, packages=["antspyx", "numpy", "scipy"], Quality=quality, Warnings=doubtful
    )
    units = {"Units": "mm", "SpatialReference": snakemake.params.reference}
    nifti_warp.save(
        snakemake.output.to_t1w, found.to_t1w, found.template_affine, metadata=about(**units)
    )
    units["SpatialReference"] = derivatives.SPATIAL_REFERENCES["T1w"]
    nifti_warp.save(
        snakemake.output.to_template, found.to_template, found.t1w_affine, metadata=about(**units)
    )
    image, mask, grid = target.extracted(settings["registration_mm"])
    figure = figures.registration(
        image, grid, moved, grid, mask=mask,
        title="Alignment of T1w and template",
        subtitle=f"Orange: edges of the template. {coreg_quality.caption(quality, doubtful)}",
    )  # fmt: skip
    figures.save(figure, snakemake.output.figure)
