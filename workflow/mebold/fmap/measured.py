"""Where the phase of a fieldmap was measured, how well, and what belongs to the brain's water."""

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from mebold.geometry import affines

#: Fourth difference: free of everything up to a cubic, so that the field does not count as noise.
_FOURTH = (1.0, -4.0, 6.0, -4.0, 1.0)
#: Phase noise is not believed to be lower, rad: images of a simulation have none.
_LEAST_NOISE_RAD = 1e-4
_MAD_TO_SD = 1.4826
#: Noise of the difference of two neighbours (standard deviations) that adds to the steepest.
_NOISE_SDS = 2.0
#: A difference of more than this share of half a turn has no sign that could be trusted.
_LARGEST_STEP = 0.8
#: Parts that hold less of the core, relative to the part that holds most, are noise or other
#: tissue: a scalp that the brain mask took in.
_LEAST_SHARE = 0.5


def noise_per_magnitude(phase_rad: np.ndarray, magnitude: np.ndarray, region: np.ndarray) -> float:
    """Return the phase noise (rad, one SD) of a voxel of magnitude 1; it falls as 1 / magnitude.

    Measured from fourth differences of the phase along each axis, so that neither a background
    (scanners zero it) nor a noise scan is needed.

    Parameters
    ----------
    phase_rad : (x, y, z) array
        Radians, wrapped or not; NaN where not measured.
    magnitude : (x, y, z) array
        Any scale.
    region : (x, y, z) bool array
        The object, or most of it.
    """
    usable = region & np.isfinite(phase_rad) & (magnitude > 0)
    inverse = np.where(usable, 1.0 / np.where(usable, magnitude, 1.0), 0.0) ** 2
    found = []
    for axis in range(phase_rad.ndim):
        length = phase_rad.shape[axis]
        if length < len(_FOURTH):
            continue
        steps = wrapped(np.diff(np.nan_to_num(phase_rad), axis=axis))
        fourth = np.diff(steps, n=3, axis=axis)
        runs = [np.take(usable, range(i, length - 4 + i), axis=axis) for i in range(len(_FOURTH))]
        whole = np.all(runs, axis=0)
        spread = sum(
            c**2 * np.take(inverse, range(i, length - 4 + i), axis=axis)
            for i, c in enumerate(_FOURTH)
        )
        found.append((np.abs(fourth) / np.sqrt(np.where(whole, spread, 1.0)))[whole])
    values = np.concatenate(found) if found else np.zeros(0)
    typical = float(np.median(magnitude[usable])) if usable.any() else 1.0
    least = _LEAST_NOISE_RAD * typical
    return max(_MAD_TO_SD * float(np.median(values)), least) if values.size else least


def connected(
    phase_rad: np.ndarray,
    noise_rad: np.ndarray,
    usable: np.ndarray,
    core: np.ndarray,
    affine: np.ndarray,
    *,
    steepest_rad_mm: float,
) -> np.ndarray:
    """Return the voxels that paths of small steps of the phase join to the core.

    Tissue without a gap belongs to the field of the brain, however far a brain mask reaches. Fat
    is out of step by its chemical shift; where the shift is a whole turn, it tells the field too.

    Parameters
    ----------
    phase_rad : (x, y, z) array
        Radians, wrapped or not.
    noise_rad : (x, y, z) array
        One standard deviation of the phase.
    usable : (x, y, z) bool array
        Voxels with a phase that is more than noise.
    core : (x, y, z) bool array
        Mostly brain; it may lack much of it.
    affine : (4, 4) array
        Voxel to world, mm.
    steepest_rad_mm : float
        Change of the phase per mm that a field can cause.

    Returns
    -------
    (x, y, z) bool array
        All of `usable` where nothing of it touches the core.
    """
    index = np.full(usable.shape, -1, dtype=np.int32)
    count = int(np.count_nonzero(usable))
    index[usable] = np.arange(count, dtype=np.int32)
    rows, columns = [], []
    for axis, size in enumerate(affines.voxel_sizes(affine)):
        low, high = _pairs(usable.ndim, axis)
        both = usable[low] & usable[high]
        step = np.abs(wrapped(phase_rad[high][both] - phase_rad[low][both]))
        noise = np.hypot(noise_rad[high][both], noise_rad[low][both])
        limit = np.hypot(steepest_rad_mm * size, _NOISE_SDS * noise)
        joined = step <= np.minimum(limit, _LARGEST_STEP * np.pi)
        rows.append(index[low][both][joined])
        columns.append(index[high][both][joined])
    edges = np.concatenate(rows), np.concatenate(columns)
    graph = sparse.coo_matrix((np.ones(edges[0].size, bool), edges), shape=(count, count))
    _, labels = csgraph.connected_components(graph, directed=False)
    inside = labels[core[usable]]
    if inside.size == 0:
        return usable
    held = np.bincount(inside, minlength=labels.max() + 1)
    out = np.zeros(usable.shape, bool)
    out[usable] = (held >= _LEAST_SHARE * held.max())[labels]
    return out


def has_jumps(phase_rad: np.ndarray, region: np.ndarray) -> bool:
    """Tell whether neighbours of a region differ by more than half a turn."""
    for axis in range(region.ndim):
        low, high = _pairs(region.ndim, axis)
        both = region[low] & region[high]
        if np.any(np.abs(phase_rad[high][both] - phase_rad[low][both]) > np.pi):
            return True
    return False


def touching(region: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Return the face-connected parts of a region that hold a voxel of the core."""
    labels, count = ndimage.label(region)
    keep = np.zeros(count + 1, bool)
    keep[labels[core & region]] = True
    keep[0] = False
    return keep[labels]


def wrapped(phase_rad: np.ndarray) -> np.ndarray:
    """Return radians brought to -pi..pi."""
    return phase_rad - 2.0 * np.pi * np.round(phase_rad / (2.0 * np.pi))


def _pairs(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of all lower and all upper neighbours along an axis."""
    return tuple(
        tuple(part if a == axis else slice(None) for a in range(ndim))
        for part in (slice(None, -1), slice(1, None))
    )
