"""Undo gradient nonlinearity of a reference image, together with the distortion by the field."""

import numpy as np

from mebold.figures.sdc import unwarping
from mebold.figures.style import save
from mebold.files import images, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake) as log:
    files, run, out = snakemake.input, snakemake.params.run, snakemake.output
    boldref, affine = images.load(files.boldref)
    acquired = images.load_mask(files.mask)[0]
    field, field_affine = transforms.load_displacement(files.warp)
    warp_mm = displacement.at_points(
        field, field_affine, affines.grid_points(boldref.shape, affine)
    )
    chain = {"field_hz": images.load(files.field)[0]} if files.field else {}
    chain |= {key: run[key] for key in ("direction", "readout_s")}
    corrected = displacement.undistorted(boldref, affine, warp_mm=warp_mm, **chain)
    mask = displacement.undistorted(acquired, affine, warp_mm=warp_mm, **chain, order=0) > 0
    displacement.require_inside(mask, affine, field, field_affine, name=files.warp)
    length = np.linalg.norm(warp_mm, axis=1).reshape(mask.shape)
    within = length[mask]
    moved = {"MedianDisplacement": np.median(within), "LargestDisplacement": within.max()}
    log.info("displacement by gradient nonlinearity in the brain, mm: %s", moved)
    about = sidecar.Sidecar(
        snakemake, packages=["numba", "numpy", "scipy"], NonlinearGradientCorrection=True, **moved
    )
    images.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, affine, dtype="uint8", metadata=about(Type="Brain"))
    figure = unwarping(
        boldref, corrected, affine, mask=mask, length_mm=length, subtitle=run["stem"]
    )
    save(figure, out.figure)
