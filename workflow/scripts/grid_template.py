"""Make the output grid of a subject in a template: its field of view, voxels of the BOLD."""

import numpy as np
from scipy import ndimage

from mebold.anat import mni, output_grid
from mebold.files import images, segmentation, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    files, voxel_mm = snakemake.input, float(snakemake.params.voxel_mm)
    if files.get("template"):
        header = images.load_header(files.template)
        whole, whole_affine = header.shape[:3], header.affine
    else:
        maps, whole_affine = mni.load_template(1.0)
        whole = maps["t1"].shape
    shape, grid = affines.rescaled_grid(whole, whole_affine, voxel_mm)
    points = affines.grid_points(shape, grid)
    to_t1w = displacement.at_points(*transforms.load_displacement(files.to_t1w), points).astype(
        np.float32
    )
    there = points + to_t1w
    t1w, affine = images.load(files.t1w)
    anatomy = [images.load(files[name])[0] for name in ("mask", "dseg")]
    image, mask, tissue = output_grid.from_t1w(
        t1w, *anatomy, affine, points=there, shape=shape, voxel_mm=voxel_mm
    )
    steps = snakemake.params.dilation
    dilated = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "numba", "numpy", "scipy"],
        SpatialReference=snakemake.params.reference,
        Resolution=f"Field of view of the template, {voxel_mm:g} mm isotropic, that of the BOLD.",
    )
    out = snakemake.output
    images.save(out.underlay, image, grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    images.save(out.series_mask, dilated, grid, dtype="uint8", metadata=about(Type="Brain"))
    segmentation.save(out.dseg, tissue, grid, metadata=about())
    transforms.save_displacement(
        out.displacement, to_t1w.reshape(*shape, 3), grid, metadata=about(Units="mm")
    )
