"""Make the output grid of a subject from its reference image; masks from a T1w if any."""

import numpy as np
from scipy import ndimage

from mebold.files import images, segmentation, transforms
from mebold.geometry import affines, grids, interpolation
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    files, voxel_mm = snakemake.input, snakemake.params.voxel_mm
    boldref, affine = images.load(files.boldref)
    shape, grid = boldref.shape, affine
    if voxel_mm != "acquired":
        shape, grid = affines.rescaled_grid(boldref.shape, affine, float(voxel_mm))
    image = interpolation.resample_volume(boldref, affine, affines.grid_points(shape, grid))
    if files.get("xfm"):
        source = images.load(files.brain)
        onto = {"matrix": np.linalg.inv(transforms.load_xfm(files.xfm))}
        sigma = affines.voxel_sizes(grid).min() / affines.voxel_sizes(source[1]) / 2.355
        brain = grids.onto(
            ndimage.gaussian_filter(source[0], sigma), source[1], shape, grid, **onto
        )
        tissue = grids.onto(*images.load(files.dseg), shape, grid, order=0, **onto)
    else:
        brain = grids.onto(*images.load(files.mask), shape, grid)
        tissue = np.zeros(shape)
    mask = brain > 0.5
    steps = snakemake.params.dilation
    dilated = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    sizes = " x ".join(f"{size:.4g}" for size in affines.voxel_sizes(grid))
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "numba", "numpy", "scipy"],
        SpatialReference=snakemake.params.reference,
        Resolution=f"Field of view of the reference image, {sizes} mm.",
    )
    out = snakemake.output
    images.save(out.underlay, image.reshape(shape), grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    images.save(out.series_mask, dilated, grid, dtype="uint8", metadata=about(Type="Brain"))
    segmentation.save(out.dseg, tissue, grid, metadata=about())
