"""Make the output grid of a subject from its reference image; masks from a T1w if any."""

from mebold.anat import boldref_grid
from mebold.files import images, transforms
from mebold.geometry import affines
from mebold.jobs import grid, sidecar
from mebold.jobs.script import job

with job(snakemake):
    files, voxel_mm = snakemake.input, snakemake.params.voxel_mm
    brain, anatomy = images.load(files.brain if files.get("xfm") else files.mask), {}
    if files.get("xfm"):
        anatomy["dseg"] = images.load(files.dseg)
        anatomy["to_boldref"] = transforms.load_xfm(files.xfm)
    image, mask, tissue, affine = boldref_grid.from_boldref(
        *images.load(files.boldref),
        brain=brain,
        **anatomy,
        voxel_mm=None if voxel_mm == "acquired" else float(voxel_mm),
    )
    sizes = " x ".join(f"{size:.4g}" for size in affines.voxel_sizes(affine))
    about = sidecar.Sidecar(
        snakemake,
        packages=["nibabel", "numba", "numpy", "scipy"],
        SpatialReference=snakemake.params.reference,
        Resolution=f"Field of view of the reference image, {sizes} mm.",
    )
    written = {"dilation": snakemake.params.dilation, "about": about}
    grid.save(snakemake.output, image, mask, tissue, affine, **written)
