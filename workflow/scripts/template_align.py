"""Align the T1w of a subject with the template, in both directions, and judge it."""

from mebold.anat import template
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, transforms
from mebold.files.metadata import SPATIAL_REFERENCES
from mebold.jobs import sidecar, template_image
from mebold.jobs.script import job
from mebold.registration import doubts

with job(snakemake) as log:
    files, settings, out = snakemake.input, snakemake.params.settings, snakemake.output
    target = template_image.brain(files)
    t1w, t1w_affine = images.load(files.t1w)
    own = template.Brain(t1w, images.load_mask(files.mask)[0], t1w_affine)
    own = template.lifted(own) if snakemake.params.dark_fluid else own
    options = {"voxel_mm": settings["registration_mm"], "seed": snakemake.params.seed}
    found = template.align(target, own, **options)
    quality, moved = template.quality(target, own, found)
    doubtful = doubts.of(quality, settings, doubts.TEMPLATE)
    log.info("alignment with the template: %s", quality)
    for doubt in doubtful:
        log.warning("%s: %s", out.to_t1w, doubt)
    made = {"Quality": quality, "Warnings": doubtful}
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numpy", "scipy"], **made)
    for path, field, affine, space in (
        (out.to_t1w, found.to_t1w, found.template_affine, snakemake.params.reference),
        (out.to_template, found.to_template, found.t1w_affine, SPATIAL_REFERENCES["T1w"]),
    ):
        units = about(Units="mm", SpatialReference=space)
        transforms.save_displacement(path, field, affine, metadata=units)
    image, mask, grid = target.extracted(settings["registration_mm"])
    texts = {"title": f"{snakemake.wildcards.sub}, {snakemake.wildcards.template}: alignment"}
    texts["subtitle"] = f"Orange: edges of the template. {doubts.caption(quality, doubtful)}"
    save(registration(image, grid, moved, grid, mask=mask, **texts), out.figure)
