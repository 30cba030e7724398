"""Masks of regions on a grid: vectors, labels, and resampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines


def check_grid(
    shape: tuple[int, ...],
    affine: np.ndarray,
    reference_shape: tuple[int, ...],
    reference_affine: np.ndarray,
    *,
    name: str,
    reference_name: str,
    tolerance_mm: float = 0.01,
) -> None:
    """Refuse a mask that does not lie on the grid of the maps.

    Parameters
    ----------
    shape, affine
        Grid of the mask: (x, y, z) and 4 x 4 voxel to world.
    reference_shape, reference_affine
        Grid of the maps.
    name, reference_name : str
        Files to name in the message.
    tolerance_mm : float
        Largest distance allowed between corresponding corner voxels.

    Raises
    ------
    GridMismatchError
        Naming both grids, with matrix size, voxel size and position.
    """
    shape, reference_shape = tuple(shape[:3]), tuple(reference_shape[:3])
    worst = np.inf
    if shape == reference_shape:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
        gap = affines.apply(affine, corners) - affines.apply(reference_affine, corners)
        worst = float(np.linalg.norm(gap, axis=1).max())
    if not worst <= tolerance_mm:
        apart = f", up to {worst:.3g} mm apart" if np.isfinite(worst) else ""
        raise GridMismatchError(
            f"ROI mask {name} is on another grid than {reference_name}{apart}: "
            f"{_grid_text(shape, affine)} against {_grid_text(reference_shape, reference_affine)}; "
            "resample the mask to the grid of the maps with nearest neighbours"
        )


def _grid_text(shape: tuple[int, ...], affine: np.ndarray) -> str:
    """Describe a grid in words."""
    size = " x ".join(f"{v:.4g}" for v in affines.voxel_sizes(affine))
    origin = ", ".join(f"{v:.2f}" for v in np.asarray(affine)[:3, 3])
    return f"{' x '.join(map(str, shape))} voxels of {size} mm, first voxel at ({origin}) mm"


def roi_vector(volume: np.ndarray, mask: np.ndarray, *, name: str) -> np.ndarray:
    """Return an ROI as one entry per voxel of the analysis mask.

    Parameters
    ----------
    volume : ndarray, (x, y, z)
        ROI mask; voxels above 0.5 belong to it.
    mask : ndarray, (x, y, z), bool
        Analysis mask; its voxels in C order are the entries.
    name : str
        ROI, for the message.

    Returns
    -------
    ndarray, (V,), bool

    Raises
    ------
    GridMismatchError
        When the shapes differ.
    DataError
        When no ROI voxel lies in the analysis mask.
    """
    if volume.shape != mask.shape:
        raise GridMismatchError(
            f"ROI {name} has {volume.shape} voxels, the analysis mask {mask.shape}"
        )
    inside = np.asarray(volume)[np.asarray(mask, bool)] > 0.5
    if not inside.any():
        raise DataError(
            f"ROI {name} ({int((np.asarray(volume) > 0.5).sum())} voxels) has no voxel inside the "
            "analysis mask; check its space"
        )
    return inside


def on_grid(
    volume: np.ndarray, affine: np.ndarray, mask: np.ndarray, mask_affine: np.ndarray, *, name: str
) -> np.ndarray:
    """Return an ROI mask as `roi_vector` does, after `check_grid` against the analysis mask."""
    check_grid(
        volume.shape, affine, mask.shape, mask_affine, name=name, reference_name="the output grid"
    )
    return roi_vector(volume, mask, name=name)


def masks_from_labels(
    atlas: np.ndarray, labels: Mapping[str, int | Iterable[int]], *, name: str
) -> dict[str, np.ndarray]:
    """Cut named masks out of a label image.

    Parameters
    ----------
    atlas : ndarray, (x, y, z)
        Integer labels, 0 is background.
    labels : mapping of str to int or several int
        ROI name -> label values that form it.
    name : str
        Atlas file, for the message.

    Returns
    -------
    dict of str to ndarray, (x, y, z), bool

    Raises
    ------
    DataError
        When the image is not integer valued or a label is not in it.
    """
    values = np.asarray(atlas)
    whole = np.rint(values)
    if not np.array_equal(values, whole):
        raise DataError(
            f"{name} holds values that are not whole numbers: it is no label image, or was "
            "resampled with a spline; resample with nearest neighbours"
        )
    present = np.unique(whole).astype(int)
    masks = {}
    for roi, wanted in labels.items():
        wanted = np.atleast_1d(np.asarray(wanted, int))
        missing = np.setdiff1d(wanted, present)
        if missing.size:
            raise DataError(
                f"ROI {roi}: label {missing.tolist()} is not in {name}, which holds "
                f"{_short_list(present[present != 0])}"
            )
        masks[roi] = np.isin(whole, wanted)
    return masks


def _short_list(values: np.ndarray, limit: int = 12) -> str:
    """List values, cut after the first dozen."""
    text = ", ".join(map(str, values[:limit].tolist())) or "no label"
    return f"{text} ... ({values.size} labels)" if values.size > limit else text
