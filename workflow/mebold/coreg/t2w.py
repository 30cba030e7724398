"""A T2w image where the T1w image is, however far away its scanner coordinates are."""

import itertools

import numpy as np

from mebold.anat.bias import bias_correct
from mebold.coreg.stages import STAGES
from mebold.geometry import affines, grids
from mebold.geometry.masks import foreground_mask
from mebold.registration import doubts, unlike

#: Resolution at which starts are compared, mm.
_SEARCH_MM = 8.0

#: The centre of a head with its neck lies up to so far from that of the brain, mm.
_OFF_CENTRE_MM = (-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0)


def on_t1w(
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    t2w: tuple[np.ndarray, np.ndarray],
    *,
    least_mutual_information: float,
    seed: int,
) -> tuple[np.ndarray, dict, list[str]]:
    """Bring a T2w image to the grid of the T1w's working image, and judge whether it fits.

    Parameters
    ----------
    fixed : tuple
        From `agreement.working_t1w`: image (x, y, z), affine (4, 4), its surroundings, brain.
    t2w : (volume (x', y', z'), affine (4, 4))
        Not bias corrected, with or without skull.
    least_mutual_information : float
        In nats; a fit with less is doubted.
    seed : int
        Of the sampling of mutual information.

    Returns
    -------
    image : (x, y, z) float32 array
        The T2w, bias corrected, on the grid of `fixed`.
    quality : dict
        ``mutual_information`` in nats, ``mutual_information_nearby`` (see `unlike.nearby`),
        ``shift_mm`` (largest displacement of a brain voxel from where its header puts it) and
        ``rotation_deg``.
    doubts : list of str
        Why it may be in the wrong place; empty where nothing speaks against it.
    """
    matrix, even, quality, found = aligned(
        fixed, t2w, least_mutual_information=least_mutual_information, seed=seed
    )
    return grids.onto(even, t2w[1], fixed[0].shape, fixed[1], matrix=matrix), quality, found


def aligned(
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    t2w: tuple[np.ndarray, np.ndarray],
    *,
    least_mutual_information: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, dict, list[str]]:
    """Align a T2w image with the T1w's working image.

    Parameters
    ----------
    fixed, t2w, least_mutual_information, seed
        As in `on_t1w`.

    Returns
    -------
    matrix : (4, 4) array
        Point map T1w -> T2w, RAS+ mm.
    even : (x', y', z') float32 array
        The T2w, bias corrected, on its own grid.
    quality : dict
    doubts : list of str
        As in `on_t1w`.
    """
    clean = np.maximum(np.nan_to_num(np.asarray(t2w[0], dtype=np.float32), posinf=0.0), 0.0)
    even = bias_correct(clean, t2w[1])
    even = np.minimum(even, np.percentile(even[even > 0], 99.5))
    ranked = _starts(fixed, even, t2w[1])
    matrix = unlike.search(fixed[:3], even, t2w[1], ranked, stages=STAGES, seed=seed)
    score = unlike.scorer(fixed[:3], even, t2w[1])
    brain = affines.grid_points(fixed[0].shape, fixed[1], fixed[3])
    quality = {
        "mutual_information": score(matrix),
        "mutual_information_nearby": unlike.nearby(score, matrix, fixed[1], fixed[3]),
        **unlike.movement(matrix, brain),
    }
    limits = {"least_mutual_information": least_mutual_information}
    return matrix, even, quality, doubts.of(quality, limits, doubts.T2W, other="the T1w image")


def in_words(found: list[str], image: str) -> list[str]:
    """Say what became of a doubted T2w: `image` is T1w or T2w, which the EPI was aligned to."""
    what = "fits the BOLD better than the T1w and leads, but" if image == "T2w" else "is not used:"
    return [f"the T2w image {what} {sentence}" for sentence in found]


def _starts(fixed, even: np.ndarray, affine: np.ndarray) -> list[np.ndarray]:
    """Return the header and the brain somewhere in the head, then turned, the best first."""
    image, grid = grids.coarsen(*fixed[:2], voxel_mm=_SEARCH_MM)
    near = grids.onto(fixed[2], fixed[1], image.shape, grid) > 0.5
    moving, moving_grid = grids.coarsen(even, affine, voxel_mm=_SEARCH_MM)
    score = unlike.scorer((image, grid, near), moving, moving_grid)
    centre = affines.apply(fixed[1], np.argwhere(fixed[3]).mean(axis=0))
    head = affines.apply(moving_grid, np.argwhere(foreground_mask(moving)).mean(axis=0))
    found = [np.eye(4)]
    for step in itertools.product(_OFF_CENTRE_MM, repeat=3):
        one = np.eye(4)
        one[:3, 3] = head + step - centre
        found.append(one)
    best = sorted(found, key=score, reverse=True)[:5]
    turned = [
        start for one in best for start in unlike.starts(centre, affines.apply(one, centre))[1:]
    ]
    return sorted([*best, *turned], key=score, reverse=True)
