"""Make the output grid of a subject: the T1w frame at the resolution of the BOLD."""

import numpy as np
from scipy import ndimage

from mebold import affines, derivatives, nifti, resample
from mebold.jobs import job

with job(snakemake):
    t1w, affine = nifti.load(snakemake.input.t1w)
    voxel_mm = float(snakemake.params.voxel_mm)
    shape, grid = affines.rescaled_grid(t1w.shape, affine, voxel_mm)
    points = affines.grid_points(shape, grid)
    # Averaging over the new voxel first keeps fine structure from folding into the coarse grid.
    sigma = np.maximum(voxel_mm / affines.voxel_sizes(affine) - 1, 0) / 2.355
    smooth = ndimage.gaussian_filter(t1w, sigma)
    brain = ndimage.gaussian_filter(nifti.load(snakemake.input.mask)[0], sigma)
    dseg = nifti.load(snakemake.input.dseg)[0]
    image = resample.resample_volume(smooth, affine, points).reshape(shape)
    mask = resample.resample_volume(brain, affine, points, order=1).reshape(shape) > 0.5
    tissue = resample.resample_volume(dseg, affine, points, order=0).reshape(shape)
    steps = snakemake.params.dilation
    dilated = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    about = derivatives.Sidecar(
        snakemake,
        packages=["nibabel", "scipy"],
        SpatialReference="T1w of the subject",
        Resolution=f"Field of view of the T1w image, {voxel_mm:g} mm isotropic, that of the BOLD.",
    )
    out = snakemake.output
    nifti.save(out.underlay, image, grid, metadata=about(SkullStripped=False))
    nifti.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    nifti.save(out.series_mask, dilated, grid, dtype="uint8", metadata=about(Type="Brain"))
    labels = {"1": "CSF", "2": "GM", "3": "WM"}
    nifti.save(out.dseg, tissue, grid, dtype="uint8", metadata=about(LabelMap=labels))
