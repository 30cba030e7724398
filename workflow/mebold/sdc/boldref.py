"""The field of a run at its reference image, and that image without distortion."""

import logging

import numpy as np

from mebold.fmap.session import Map
from mebold.geometry import displacement, grids
from mebold.sdc import magnitude

logger = logging.getLogger(__name__)


def at_boldref(
    field: Map,
    boldref: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    direction: str,
    readout_s: float,
    fwhm_mm: float,
    coarse_mm: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Read a field map at the voxels of a reference image.

    The magnitude is aligned with the distorted reference, and then with the reference corrected
    by the field that was found, because the first position has absorbed the mean distortion; by
    least squares where both have one contrast, else by mutual information (see `magnitude`).

    Parameters
    ----------
    field : Map
        Of the session. Without a magnitude (0 everywhere) the headers are believed.
    boldref : (x, y, z) array
        Distorted reference image.
    affine : (4, 4) array
        Its voxel to world, mm.
    mask : (x, y, z) bool array
        Brain on the reference image.
    direction, readout_s : str, float
        PhaseEncodingDirection and total readout time (s) of the reference image.
    fwhm_mm, coarse_mm : float
        Smoothing of the final and the first fit by least squares; see `rigid.register`.
    seed : int
        Of the sampling of mutual information.

    Returns
    -------
    field_hz : (x, y, z) float32 array
        On the grid of the reference; the nearest voxel of the map beyond its field of view.
    to_fieldmap : (4, 4) float64 array
        Point map from the world of the reference to that of the map.
    quality : dict
        See `magnitude.align`; empty without a magnitude.
    """

    def read(matrix: np.ndarray) -> np.ndarray:
        grid = boldref.shape, affine
        return grids.onto(field.field_hz, field.affine, *grid, matrix=matrix, mode="nearest")

    if not np.any(field.magnitude):
        logger.warning("the fieldmap has no magnitude: its position is taken from the header")
        return read(np.eye(4)), np.eye(4), {}

    def undistort(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        epi = {"direction": direction, "readout_s": readout_s}
        return displacement.undistorted(image, affine, field_hz=read(matrix), **epi)

    widths = {"fwhm_mm": fwhm_mm, "coarse_mm": coarse_mm}
    to_fieldmap, quality = magnitude.align(
        field, boldref, affine, mask=mask, undistort=undistort, seed=seed, **widths
    )
    return read(to_fieldmap), to_fieldmap, quality


def outlines(
    field: Map, shape: tuple[int, int, int], affine: np.ndarray, to_fieldmap: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the brain that a field map shows, on the grid of a reference image.

    Parameters
    ----------
    field : Map
    shape, affine
        Grid of the reference image; voxel to world (4, 4), mm.
    to_fieldmap : (4, 4) array
        From `at_boldref`.

    Returns
    -------
    list of (mask (x, y, z) bool, affine)
        One, or none where the map has no magnitude.
    """
    if not field.magnitude.any():
        return []
    brain = grids.onto(field.brain, field.affine, shape, affine, matrix=to_fieldmap)
    return [(brain > 0.5, affine)]
