"""Independent components of a run, by a decomposition that settles.

Most components of a run at 7T are thermal noise, whose maps are all but Gaussian. Between such maps
the steps of symmetric FastICA may jump to and fro for ever: with 40 components of 360,000 voxels
its change stayed at 0.2 for 1000 steps, where 0.0001 ends it. Half of each step settles. And from
one start it may end between two sources. So several are taken, on a sample of the voxels, and the
one whose maps are the least Gaussian is finished on all: the first from the fourth moments of the
data (at full size better than twelve random ones), the others at random. After some steps the worse
half of them is given up, again and again: what is not ahead by then hardly ever comes first.
"""

from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError

#: Mean of log cosh of a standard normal variable: what a map of noise has.
_OF_NOISE = 0.374567
_STEP = 0.5
_ROUND = 40  # steps until the worse half of the starts is given up
_TOLERANCE = 1e-4  # as scikit-learn has it: change of a direction, 1 - |cosine|


@dataclass(frozen=True)
class Components:
    """Time courses of independent components.

    Attributes
    ----------
    mixing : (T, C) float64 array
        Z-scored time courses.
    converged : bool
        Whether the last step would have changed no direction by more than the tolerance.
    iterations : int
        Steps on all voxels.
    contrast : float
        Sum of the squared distances of the maps from Gaussian ones, which ICA makes largest.
    explained : float
        Share of the variance of the z-scored series that the components span.
    """

    mixing: np.ndarray
    converged: bool
    iterations: int
    contrast: float
    explained: float


def decompose(
    series: np.ndarray,
    *,
    order: int | float,
    seed: int,
    starts: int,
    sample: int,
    max_iterations: int,
) -> Components:
    """Decompose a series into components with spatially independent maps.

    Every voxel is z-scored in time. Of the covariance of time points the largest components are
    kept, and rotated until their maps are as far from Gaussian ones as can be.

    Parameters
    ----------
    series : (V, T) array
        Optimal combination, any unit; voxels that are constant or not finite are left out.
    order : int or float
        Number of components, or share of the variance (between 0 and 1) that they explain.
    seed : int
        Of the sample and the random starts; equal seeds give equal results.
    starts : int
        All together.
    sample : int
        Voxels on which the starts are tried.
    max_iterations : int
        Steps of the best start, on the sample and on all voxels.

    Returns
    -------
    Components

    Raises
    ------
    DataError
        When fewer voxels or time points than components hold data.

    References
    ----------
    Hyvarinen 1999, IEEE Trans Neural Netw 10:626 (symmetric FastICA, log cosh, and the step of
    less than one that stabilises it); Cardoso 1989, ICASSP 2109 (fourth moments).
    """
    scored = _scored(series)
    courses, values, explained = _principal(scored, order)
    # Maps of unit variance, (C, V); the mean over voxels was left out of the covariance, too.
    maps = (courses / np.sqrt(values)).T.astype(np.float32) @ scored.T
    maps -= maps.mean(axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    part, whitening = _whitened(maps[:, np.sort(random.permutation(maps.shape[1])[:sample])])
    begins = [_by_moments(part), *random.normal(size=(starts - 1, len(maps), len(maps)))]
    best = _best_of(part, begins, max_iterations)
    rotation, steps, settled = _rotated(maps, best @ whitening, max_iterations)
    mixing = (courses * np.sqrt(values)) @ rotation.T
    mixing = (mixing - mixing.mean(axis=0)) / mixing.std(axis=0)
    return Components(mixing, settled, steps, _contrast(maps, rotation), explained)


def _scored(series: np.ndarray) -> np.ndarray:
    """Return the voxels with data, each with mean 0 and variance 1 over time, (V', T) float32."""
    series = np.asarray(series, dtype=np.float32)
    spread = series.std(axis=1)
    used = np.isfinite(spread) & (spread > 0)
    kept = series[used]
    return (kept - kept.mean(axis=1, keepdims=True)) / spread[used, None]


def _principal(scored: np.ndarray, order: int | float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the largest principal components of time (T, C), their variances and their share."""
    if not len(scored):
        raise DataError("a series without one voxel with data has no components.")
    mean = scored.mean(axis=0, dtype=np.float64)
    covariance = (scored.T @ scored).astype(np.float64) / len(scored)
    values, vectors = np.linalg.eigh(covariance - np.outer(mean, mean))
    values, vectors = values[::-1], vectors[:, ::-1]
    share = np.cumsum(values) / values.sum()
    n = int(order) if order >= 1 else int(np.searchsorted(share, order)) + 1
    rank = int(np.count_nonzero(values > 1e-6 * values[0]))
    if n > min(rank, len(scored) - 1):
        message = (
            f"{n} components asked of a series whose {len(scored)} voxels with data have rank "
            f"{rank}."
        )
        raise DataError(message)
    return vectors[:, :n], values[:n], float(share[n - 1])


def _whitened(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make the maps of a sample white; return them and the matrix that did it."""
    values, vectors = np.linalg.eigh(np.cov(maps))
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    centred = maps - maps.mean(axis=1, keepdims=True)
    return matrix.astype(np.float32) @ centred, matrix


def _by_moments(maps: np.ndarray) -> np.ndarray:
    """Return the rotation that parts white maps by their fourth moments, as far as these differ."""
    power = np.einsum("ij,ij->j", maps, maps)
    moments = ((maps * power) @ maps.T).astype(np.float64) / maps.shape[1]
    return np.linalg.eigh(moments)[1].T


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return the nearest matrix with orthonormal rows."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def _best_of(maps: np.ndarray, begins: list[np.ndarray], max_iterations: int) -> np.ndarray:
    """Rotate white maps from several starts, fewer and fewer of them; return the best rotation."""
    steps = min(_ROUND, max_iterations)
    while len(begins) > 1:
        ends = [_rotated(maps, begin, steps)[0] for begin in begins]
        ends.sort(key=lambda end: _contrast(maps, end), reverse=True)
        begins = ends[: len(ends) // 2]
    return _rotated(maps, begins[0], max_iterations)[0]


def _rotated(
    maps: np.ndarray, start: np.ndarray, max_iterations: int
) -> tuple[np.ndarray, int, bool]:
    """Rotate white maps (C, V) until they are far from Gaussian; return rotation, steps, end."""
    rotation, count = _orthonormal(start), maps.shape[1]
    for step in range(1, max_iterations + 1):
        bent = np.tanh(rotation.astype(np.float32) @ maps)
        slope = 1 - np.mean(bent**2, axis=1, dtype=np.float64)
        wanted = _orthonormal(
            (bent @ maps.T).astype(np.float64) / count - slope[:, None] * rotation
        )
        cosine = np.einsum("ij,ij->i", wanted, rotation)
        # The sign of a direction means nothing, and a mean of opposite ones would be none.
        wanted *= np.where(cosine < 0, -1.0, 1.0)[:, None]
        rotation = _orthonormal(_STEP * wanted + (1 - _STEP) * rotation)
        if np.abs(1 - np.abs(cosine)).max() < _TOLERANCE:
            return rotation, step, True
    return rotation, max_iterations, False


def _contrast(maps: np.ndarray, rotation: np.ndarray) -> float:
    """Return how far rotated white maps are from Gaussian ones."""
    found = rotation.astype(np.float32) @ maps
    mean = np.mean(np.logaddexp(found, -found) - np.log(2), axis=1, dtype=np.float64)
    return float(np.sum((mean - _OF_NOISE) ** 2))
