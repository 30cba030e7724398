"""The files of an output grid, the same in every space."""

from collections.abc import Callable

import numpy as np

from mebold.anat import output_grid
from mebold.files import images, segmentation


def save(
    out: object,
    image: np.ndarray,
    mask: np.ndarray,
    tissue: np.ndarray,
    affine: np.ndarray,
    *,
    dilation: int,
    about: Callable[..., dict],
) -> None:
    """Write underlay, brain mask, the dilated mask of the series, and tissue classes.

    Parameters
    ----------
    out : object
        Paths by the names ``underlay``, ``mask``, ``series_mask`` and ``dseg``.
    image : (x, y, z) array
        With skull.
    mask : (x, y, z) bool array
        Brain.
    tissue : (x, y, z) array
        Whole numbers, see `mebold.anat.labels`.
    affine : (4, 4) array
        Voxel to world of all, mm.
    dilation : int
        Steps by which the mask of the series is larger than the brain.
    about : callable
        Takes keys, returns the sidecar of one file; see `mebold.jobs.sidecar.Sidecar`.
    """
    wider = output_grid.dilated(mask, dilation)
    brain = {"dtype": "uint8", "metadata": about(Type="Brain")}
    images.save(out.underlay, image, affine, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, affine, **brain)
    described = about(Type="ROI", Description=f"The brain mask grown by {dilation} voxels.")
    images.save(out.series_mask, wider, affine, dtype="uint8", metadata=described)
    segmentation.save(out.dseg, tissue, affine, metadata=about())
