"""Volume change between template and T1w: Jacobian determinant, modulated grey matter, figures."""

from mebold.anat import morphometry
from mebold.figures import template as figures
from mebold.figures.style import save
from mebold.files import images, transforms
from mebold.files.atomic import atomic
from mebold.geometry import affines, interpolation
from mebold.jobs import sidecar, template_image
from mebold.jobs.script import job

with job(snakemake) as log:
    files, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    target = template_image.brain(files)
    field, grid = transforms.load_displacement(files.to_t1w)
    reference, mask, own_grid = target.extracted(float(affines.voxel_sizes(grid).max()))
    t1w, affine = images.load(files.t1w)
    brain = images.load_mask(files.mask)[0]
    gm = images.load(files.gm)[0]
    jacobian = morphometry.jacobian(field, grid)
    fwhm = settings["vbm_fwhm_mm"]
    grey = morphometry.modulated(gm, affine, field, grid, fwhm_mm=fwhm)
    volumes = {
        "TemplateBrainMl": morphometry.volume_ml(mask, grid),
        "TemplateBrainInSubjectMl": morphometry.volume_ml(mask * jacobian, grid),
        "BrainMl": morphometry.volume_ml(brain, affine),
        "GreyMatterMl": morphometry.volume_ml(gm, affine),
        "ModulatedGreyMatterMl": morphometry.volume_ml(grey, grid),
        "FoldedVoxels": int((jacobian[mask] <= 0).sum()),
    }
    log.info("volumes: %s", volumes)
    if volumes["FoldedVoxels"]:
        log.warning("the alignment folds %d voxels of the template", volumes["FoldedVoxels"])
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "numpy", "scipy"],
        SpatialReference=snakemake.params.reference,
        Volumes=volumes,
    )
    text = {"Units": "1", "Meaning": "Volume in the T1w over volume in the template."}
    images.save(out.jacobian, jacobian, grid, metadata=about(**text))
    text = {"Units": "1", "FWHM": fwhm}
    text["Meaning"] = "Volume of grey matter of the subject per volume of the template."
    images.save(out.grey, grey, grid, metadata=about(**text))

    name = f"{snakemake.wildcards.sub}, {snakemake.wildcards.template}"
    points = affines.grid_points(mask.shape, grid)
    linear = affines.apply(morphometry.linear_part(field, grid, mask), points)
    seen = []
    for word, there in (("affine", linear), ("nonlinear", points + field.reshape(-1, 3))):
        moved = interpolation.resample_volume(t1w * brain, affine, there, order=1)
        text = {"title": f"{name}: {word}", "subtitle": "Orange: edges of the template"}
        moved = moved.reshape(mask.shape)
        seen.append(figures.edges(reference, moved, grid, mask=mask, **text))
    with atomic(out.flicker) as partial:
        partial.write_bytes(figures.flicker(*seen, text=f"T1w and template edges, {name}"))
    line = "Red: larger than the template. Brain {:.0f} ml, template {:.0f} ml"
    line = line.format(volumes["TemplateBrainInSubjectMl"], volumes["TemplateBrainMl"])
    text = {"title": f"{name}: volume change", "subtitle": line}
    save(figures.volume_change(jacobian, reference, grid, mask=mask, **text), out.figure)
