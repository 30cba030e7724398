"""Make the output grid of a subject in a template: its field of view, voxels of the BOLD."""

import numpy as np

from mebold.anat import output_grid
from mebold.files import images, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import grid, sidecar, template_grid
from mebold.jobs.script import job

with job(snakemake):
    files, voxel_mm = snakemake.input, float(snakemake.params.voxel_mm)
    shape, grid_affine = template_grid.of(files, voxel_mm)
    points = affines.grid_points(shape, grid_affine)
    to_t1w = displacement.at_points(*transforms.load_displacement(files.to_t1w), points).astype(
        np.float32
    )
    there = points + to_t1w
    t1w, affine = images.load(files.t1w)
    anatomy = [images.load(files[name])[0] for name in ("mask", "dseg")]
    image, mask, tissue = output_grid.from_t1w(
        t1w, *anatomy, affine, points=there, shape=shape, voxel_mm=voxel_mm
    )
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "numba", "numpy", "scipy"],
        SpatialReference=snakemake.params.reference,
        Resolution=f"Field of view of the template, {voxel_mm:g} mm isotropic, that of the BOLD.",
    )
    written = {"dilation": snakemake.params.dilation, "about": about}
    grid.save(snakemake.output, image, mask, tissue, grid_affine, **written)
    field, path = to_t1w.reshape(*shape, 3), snakemake.output.displacement
    transforms.save_displacement(path, field, grid_affine, metadata=about(Units="mm"))
