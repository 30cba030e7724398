"""Align the T1w of a subject with the template, in both directions, and judge it."""

from mebold.anat import mni, template
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, metadata, transforms
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import doubts

with job(snakemake) as log:
    files, settings = snakemake.input, snakemake.params.settings
    if files.get("template"):
        image, affine = images.load_volume(files.template)
        mask, mask_affine = images.load_mask(files.template_mask)
        template.require_one_grid(image, affine, mask, mask_affine)
        target = template.Brain(image, mask, affine)
    else:
        maps, affine = mni.load_template(1.0)
        target = template.Brain(maps["t1"], maps["brain"] > 0.5, affine)
    t1w, t1w_affine = images.load(files.t1w)
    own = template.Brain(t1w, images.load_mask(files.mask)[0], t1w_affine)
    options = {"voxel_mm": settings["registration_mm"], "seed": snakemake.params.seed}
    found = template.align(target, own, **options)
    quality, moved = template.quality(target, own, found)
    doubtful = doubts.of(quality, settings, doubts.TEMPLATE)
    log.info("alignment with the template: %s", quality)
    for doubt in doubtful:
        log.warning("%s: %s", snakemake.output.to_t1w, doubt)
    about = sidecar.Sidecar(
        snakemake, packages=["antspyx", "numpy", "scipy"], Quality=quality, Warnings=doubtful
    )
    units = {"Units": "mm", "SpatialReference": snakemake.params.reference}
    transforms.save_displacement(
        snakemake.output.to_t1w, found.to_t1w, found.template_affine, metadata=about(**units)
    )
    units["SpatialReference"] = metadata.SPATIAL_REFERENCES["T1w"]
    transforms.save_displacement(
        snakemake.output.to_template, found.to_template, found.t1w_affine, metadata=about(**units)
    )
    image, mask, grid = target.extracted(settings["registration_mm"])
    figure = registration(
        image, grid, moved, grid, mask=mask,
        title="Alignment of T1w and template",
        subtitle=f"Orange: edges of the template. {doubts.caption(quality, doubtful)}",
    )  # fmt: skip
    save(figure, snakemake.output.figure)
