"""Where the magnitude of a field map shows the head of a reference image.

A gradient-echo magnitude has the contrast of its own flip angle: fluid is dark where an EPI shows
it bright. Least squares on the two is 0.3 to 0.5 mm wrong at 7T with a flip angle of 20 degrees,
1 mm and more at 3T with 60 degrees, and says nothing. So both are freed of their receive bias and
compared by mutual information, unless they have one contrast (a map from EPI images of opposite
phase encoding, say), where least squares is the more precise.
"""

import logging
from collections.abc import Callable

import numpy as np

from mebold.anat.bias import bias_correct
from mebold.errors import DataError
from mebold.fmap.session import Map
from mebold.geometry import affines, grids, masks
from mebold.geometry.masks import foreground_mask
from mebold.registration import rigid, unlike
from mebold.registration.ants import Stage
from mebold.registration.gauss_newton import Fit

logger = logging.getLogger(__name__)

#: The first position absorbs the mean distortion: a mean of 14 Hz at 0.42 voxels leaves 2.1 mm
#: after one pass and 0.02 mm after two; a third changes nothing.
_PASSES = 2

#: Correlation of the fit by least squares (which models a smooth bias) from which on both images
#: have one contrast: 0.998 where they do, at most 0.989 where one is a gradient echo.
_SAME_CONTRAST = 0.995

#: The edge of the brain counts, too: inside it, a 3T EPI has hardly any contrast.
_REACH_MM = 8.0

#: Voxels that the metric reads: twice as many cost twice the time and move nothing by 0.05 mm.
_SAMPLES = 50_000

#: Shrink factor and smoothing (sigma, mm) of the levels: the coarse ones forgive a start that is
#: several mm off, from which the fine one alone once ran 36 mm away.
_COARSE = ((4, 6.0), (2, 3.0))
_FINE = ((1, 0.0),)
_STEPS = 100

#: Resolution at which starts are compared, mm.
_SEARCH_MM = 5.0


def align(
    field: Map,
    boldref: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    undistort: Callable[[np.ndarray, np.ndarray], np.ndarray],
    fwhm_mm: float,
    coarse_mm: float,
    seed: int,
) -> tuple[np.ndarray, dict]:
    """Align the magnitude of a field map with a distorted reference image.

    Parameters
    ----------
    field : Map
        With a magnitude.
    boldref : (x, y, z) array
        Distorted reference image.
    affine : (4, 4) array
        Its voxel to world, mm.
    mask : (x, y, z) bool array
        Brain on the reference image.
    undistort : callable
        Takes an image on the grid of the reference and a point map reference -> field map, and
        returns the image corrected by the field where the map finds it.
    fwhm_mm, coarse_mm : float
        Smoothing of the final and the first fit by least squares; see `rigid.register`.
    seed : int
        Of the sampling of mutual information.

    Returns
    -------
    matrix : (4, 4) float64 array
        Rigid point map from the world of the reference to that of the field map, mm.
    quality : dict
        ``method`` (``least squares`` where both have one contrast, else ``mutual information``),
        ``correlation_least_squares`` (by which that was told; None where the heads hardly
        overlapped), ``mutual_information`` (nats, in the brain and 8 mm around it),
        ``mutual_information_nearby`` (see `unlike.nearby`), ``coverage`` (share of the reference's
        brain inside the map), ``shift_mm`` (largest displacement of a brain voxel),
        ``rotation_deg``.

    References
    ----------
    Mattes mutual information and N4 as in antspyx 0.6.3.
    """
    squares = _least_squares(
        field, boldref, affine, mask, undistort, fwhm_mm=fwhm_mm, coarse_mm=coarse_mm
    )
    alike = squares is not None and squares.correlation >= _SAME_CONTRAST
    near = masks.dilated(mask, affine, _REACH_MM)
    even, moving = boldref, (field.magnitude, field.affine)
    if alike:
        matrix = squares.matrix
    else:
        even = bias_correct(boldref, affine, masks.dilated(mask, affine, 3.0))
        moving = field.even, field.affine
        known = [squares.matrix] if squares is not None else []
        starts = _starts(even, affine, mask, near, moving, known)
        matrix = _by_mutual_information(even, affine, near, moving, _COARSE + _FINE, starts, seed)
        seen = undistort(even, matrix)
        matrix = _by_mutual_information(seen, affine, near, moving, _FINE, [matrix], seed)
    score = unlike.scorer((undistort(even, matrix), affine, near), *moving)
    brain = affines.grid_points(mask.shape, affine, mask)
    inside = grids.hold(moving[0].shape, field.affine, affines.apply(matrix, brain))
    return matrix, {
        "method": "least squares" if alike else "mutual information",
        "correlation_least_squares": None if squares is None else squares.correlation,
        "mutual_information": score(matrix),
        "mutual_information_nearby": unlike.nearby(score, matrix, affine, mask),
        "coverage": float(inside.mean()),
        **unlike.movement(matrix, brain),
    }


def _least_squares(field, boldref, affine, mask, undistort, **widths) -> Fit | None:
    """Return the fit by least squares after two passes; None where the heads hardly overlap."""
    seen, options = boldref, {"moving_affine": field.affine, "reference_affine": affine, **widths}
    try:
        for _ in range(_PASSES):
            fit = rigid.register(field.magnitude, seen, mask=mask, **options)
            seen = undistort(boldref, fit.matrix)
    except DataError as problem:
        logger.info("no least-squares fit of the fieldmap's magnitude: %s", problem)
        return None
    return fit


def _starts(even, affine, mask, near, moving, known) -> list[np.ndarray]:
    """Return header, matched centres with turned heads, and what is known, the best first."""
    image, grid = grids.coarsen(even, affine, voxel_mm=_SEARCH_MM)
    coarse = grids.coarsen(*moving, voxel_mm=_SEARCH_MM)
    around = grids.onto(near, affine, image.shape, grid) > 0.5
    centre = affines.apply(affine, np.argwhere(mask).mean(axis=0))
    head = foreground_mask(coarse[0])
    other = affines.apply(coarse[1], np.argwhere(head).mean(axis=0))
    score = unlike.scorer((image, grid, around), *coarse)
    return sorted([*known, *unlike.starts(centre, other)], key=score, reverse=True)


def _by_mutual_information(seen, affine, near, moving, levels, starts, seed) -> np.ndarray:
    """Return the rigid point map reference -> magnitude, from the first start that holds."""
    image, grid, box = grids.crop_to_mask(seen, affine, near, margin_mm=_REACH_MM)
    stages = [
        Stage("Rigid", (k,), (sigma,), (_STEPS,), min(1.0, _SAMPLES * k**3 / image.size))
        for k, sigma in levels
    ]
    fixed = image, grid, near[box]
    return unlike.search(fixed, *moving, starts, stages=stages, seed=seed)
