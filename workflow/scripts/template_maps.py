"""Take a map of the output grid to the template, through the alignment of T1w and template."""

from mebold.anat import output_grid
from mebold.files import images, tables, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import sidecar, template_grid
from mebold.jobs.script import job

with job(snakemake):
    files = snakemake.input
    mask, affine = images.load_mask(files.mask)
    voxel_mm = float(affines.voxel_sizes(affine).min())
    shape, grid = template_grid.of(files, voxel_mm)
    points = affines.grid_points(shape, grid)
    points += displacement.at_points(*transforms.load_displacement(files.to_t1w), points)
    values = images.load(files.map)[0]
    found = output_grid.masked_at(values, mask, affine, points=points).reshape(shape)
    units = tables.read_json(tables.sidecar(files.map)).get("Units", "1")
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numba", "numpy", "scipy"])
    made = about(Units=units, SpatialReference=snakemake.params.reference)
    images.save(snakemake.output[0], found, grid, metadata=made)
