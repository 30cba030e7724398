"""Make the output grid of a subject: the T1w frame at the resolution of the BOLD."""

from scipy import ndimage

from mebold.anat import output_grid
from mebold.files import images, segmentation
from mebold.geometry import affines
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    t1w, affine = images.load(snakemake.input.t1w)
    voxel_mm = float(snakemake.params.voxel_mm)
    shape, grid = affines.rescaled_grid(t1w.shape, affine, voxel_mm)
    points = affines.grid_points(shape, grid)
    anatomy = [images.load(snakemake.input[name])[0] for name in ("mask", "dseg")]
    image, mask, tissue = output_grid.from_t1w(
        t1w, *anatomy, affine, points=points, shape=shape, voxel_mm=voxel_mm
    )
    steps = snakemake.params.dilation
    dilated = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "scipy"],
        SpatialReference="T1w of the subject",
        Resolution=f"Field of view of the T1w image, {voxel_mm:g} mm isotropic, that of the BOLD.",
    )
    out = snakemake.output
    images.save(out.underlay, image, grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    images.save(out.series_mask, dilated, grid, dtype="uint8", metadata=about(Type="Brain"))
    segmentation.save(out.dseg, tissue, grid, metadata=about())
