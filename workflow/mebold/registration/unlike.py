"""Images of unlike contrast: where to start, and how well they match, by mutual information."""

import itertools
import logging
from collections.abc import Callable, Sequence

import numpy as np

from mebold.geometry import affines, grids
from mebold.registration import ants
from mebold.registration.similarity import mutual_information

logger = logging.getLogger(__name__)

_MOST_STARTS = 3
_TURN_RAD = np.deg2rad(20.0)
_NEARBY_MM, _NEARBY_DEG = 4.0, 4.0


def starts(centre: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """Return starting points for a rigid fit: scanner coordinates, and centres matched.

    Parameters
    ----------
    centre, other : (3,) array
        Centre of the head in the fixed and in the moving image, world mm.

    Returns
    -------
    list of (4, 4) float64 array
        Point maps fixed -> moving: the identity, then the centres matched and the head turned by
        0 or 20 degrees both ways about every axis.
    """
    shifted = np.eye(4)
    shifted[:3, 3] = np.asarray(other) - centre
    turns = itertools.product((0.0, -_TURN_RAD, _TURN_RAD), repeat=3)
    turned = [affines.rigid_matrix([0, 0, 0, *angles], centre) for angles in turns]
    return [np.eye(4)] + [shifted @ turn for turn in turned]


def scorer(
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray], moving: np.ndarray, affine: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Return a function that gives the mutual information (nats) under a point map (4, 4).

    `fixed` is an image, its affine and the voxels that count; the map goes from its world to that
    of `moving` (x, y, z), whose voxel to world is `affine`.
    """
    image, grid, near = fixed

    def score(matrix: np.ndarray) -> float:
        sampled = grids.onto(moving, affine, image.shape, grid, matrix=matrix)
        return mutual_information(image[near], sampled[near])

    return score


def search(
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray],
    moving: np.ndarray,
    affine: np.ndarray,
    starts: Sequence[np.ndarray],
    *,
    stages: Sequence[ants.Stage],
    seed: int,
) -> np.ndarray:
    """Fit a rigid map by mutual information, and from another start where the first leads away.

    Parameters
    ----------
    fixed, moving, affine
        As in `scorer`; the metric reads the voxels that count.
    starts : sequence of (4, 4) array
        Point maps fixed -> moving, world mm, the best first; at most three are tried.
    stages : sequence of Stage
        Of the search.
    seed : int
        Of the voxels that the metric samples.

    Returns
    -------
    (4, 4) float64 array
        Rigid point map fixed -> moving, world mm: the first that scores at least as its start,
        else the best of those tried.
    """
    score = scorer(fixed, moving, affine)
    tried = []
    for start in starts[:_MOST_STARTS]:
        found = ants.register_linear(
            fixed[:2],
            (moving, affine),
            stages=stages,
            seed=seed,
            fixed_mask=fixed[2],
            initial=start,
        )
        tried.append(ants.nearest_rigid(found))
        # Steps on sampled voxels can lead away from a good start.
        if score(tried[-1]) >= score(start):
            return tried[-1]
        logger.warning("a search by mutual information ended below its start")
    return max(tried, key=score)


def nearby(
    score: Callable[[np.ndarray], float], matrix: np.ndarray, affine: np.ndarray, brain: np.ndarray
) -> float:
    """Return the best score of twelve neighbours of an alignment, which a right one exceeds.

    Parameters
    ----------
    score : callable
        From `scorer`.
    matrix : (4, 4) array
        The alignment, fixed -> moving.
    affine : (4, 4) array
        Voxel to world of the fixed image, mm.
    brain : (x, y, z) bool array
        Brain on the fixed image, about whose centre the head is turned.

    Returns
    -------
    float
        Of steps of 4 mm along and 4 degrees about every axis, both ways; more for voxels above
        4 mm.
    """
    centre = affines.apply(affine, np.argwhere(brain).mean(axis=0))
    # Less than a voxel would compare interpolations, not places.
    step = max(_NEARBY_MM, float(affines.voxel_sizes(affine).max()))
    sizes = np.diag([step] * 3 + [np.deg2rad(_NEARBY_DEG * step / _NEARBY_MM)] * 3)
    steps = [affines.rigid_matrix(row, centre) for row in np.concatenate([sizes, -sizes])]
    return max(score(matrix @ one) for one in steps)


def movement(matrix: np.ndarray, points: np.ndarray) -> dict:
    """Return the largest displacement of points (V, 3) by a transform, and its rotation angle."""
    angle = np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))
    return {
        "shift_mm": float(affines.displacements(matrix, np.eye(4), points).max()),
        "rotation_deg": float(np.rad2deg(angle)),
    }
