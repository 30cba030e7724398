"""Put the given regions of a subject onto the output grid, and write them as masks."""

from mebold.files import arrays, images, tables, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import benson, cortex, localized_regions, region_masks, sidecar
from mebold.jobs.script import job
from mebold.rois import expressions

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    brain, affine = images.load_mask(files.brain)

    def through(path):
        """Return where the voxels of the grid lie at the other end of a displacement field."""
        if not path:
            return None
        points = affines.grid_points(brain.shape, affine)
        return points + displacement.at_points(*transforms.load_displacement(path), points)

    ways = {"output": "", "T1w": files.get("to_t1w"), "template": files.get("to_template")}
    to = {space: lambda path=path: through(path) for space, path in ways.items()}
    surface = params.surface
    least = {"least_inside": surface["least_inside"]}
    hemispheres = cortex.read(files.white, files.pial, brain=brain, affine=affine, **least)
    grid = region_masks.Grid(brain, affine, to, hemispheres, surface["least_fill"])
    settings, sub = params.settings, snakemake.wildcards.sub
    regions = region_masks.gather(params.regions, grid, least_inside=settings["least_inside"])
    if files.white and surface["benson"]["use"]:
        folder = files.white[0].rpartition("/surf/")[0]
        most = surface["benson"]["most_eccentric_deg"]
        areas = benson.regions(folder, grid, most_eccentric_deg=most)
        region_masks.require_new(areas, regions, "`rois.surface.benson`")
        regions |= areas
    leave_out = settings["missing"] == "leave_out"
    fitted = {"mask": images.load_mask(files.mask)[0], "leave_out": leave_out}
    found, absent = localized_regions.localized(params.localizers, grid, regions, **fitted)
    regions |= found
    # Expressions that need the data are made where these are.
    if not leave_out:
        expressions.require(settings["expressions"], [*regions, *params.later], owner=sub)
    later = expressions.unknown(settings["expressions"], regions)
    now = {name: text for name, text in settings["expressions"].items() if name not in later}
    made, left_out = region_masks.combined(now, regions, leave_out=leave_out, owner=sub)
    regions |= made
    left_out |= absent
    for name, reason in left_out.items():
        log.warning("region %s is left out: %s", name, reason)
    about = sidecar.Sidecar(
        snakemake, packages=["numpy", "nibabel"], SpatialReference=params.reference
    )
    folder = out.table.rpartition("/")[0]
    names = {"prefix": f"{sub}_space-{params.space}", "about": about, "older": params.older}
    region_masks.write(regions, folder, affine, **names)
    arrays.save_named(out.masks, **region_masks.packed(regions))
    tables.write_tsv(out.table, region_masks.listed(regions, left_out))
    tables.write_json(tables.sidecar(out.table), about(**region_masks.MEANINGS))
