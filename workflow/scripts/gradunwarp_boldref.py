"""Undo gradient nonlinearity of a reference image, together with the distortion by the field."""

import numpy as np

from mebold import affines, derivatives, figures, nifti, nifti_warp, warp
from mebold.jobs import job

with job(snakemake) as log:
    files, run, out = snakemake.input, snakemake.params.run, snakemake.output
    boldref, affine = nifti.load(files.boldref)
    acquired = nifti.load_mask(files.mask)[0]
    field, field_affine = nifti_warp.load(files.warp)
    warp_mm = warp.at_points(field, field_affine, affines.grid_points(boldref.shape, affine))
    chain = {"field_hz": nifti.load(files.field)[0]} if files.field else {}
    chain |= {key: run[key] for key in ("direction", "readout_s")}
    corrected = warp.undistorted(boldref, affine, warp_mm=warp_mm, **chain)
    mask = warp.undistorted(acquired, affine, warp_mm=warp_mm, **chain, order=0) > 0
    warp.require_inside(mask, affine, field, field_affine, name=files.warp)
    length = np.linalg.norm(warp_mm, axis=1).reshape(mask.shape)
    within = length[mask]
    moved = {"MedianDisplacement": np.median(within), "LargestDisplacement": within.max()}
    log.info("displacement by gradient nonlinearity in the brain, mm: %s", moved)
    about = derivatives.Sidecar(
        snakemake, packages=["numba", "numpy", "scipy"], NonlinearGradientCorrection=True, **moved
    )
    nifti.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    nifti.save(out.mask, mask, affine, dtype="uint8", metadata=about(Type="Brain"))
    figure = figures.unwarping(
        boldref, corrected, affine, mask=mask, length_mm=length, subtitle=run["stem"]
    )
    figures.save(figure, out.figure)
