"""Visually responsive voxels: a leave-one-run-out test of images against blank baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import toeplitz

from mebold.confounds import drifts
from mebold.errors import ConfigError, DataError

#: Fewer voxels than this make no region.
FEWEST_VOXELS = 10
#: Share of a regressor's energy beyond drift below which it holds nothing.
_NOTHING = 1e-8


@dataclass(frozen=True)
class VisualResponse:
    """Cross-validated image-versus-blank response of one session and one variant.

    Attributes
    ----------
    score : ndarray, (V,), float32
        Cross-validated score, see :func:`visual_response`; 0 where a voxel has no signal.
    effect : ndarray, (V,), float32
        Response in percent of the run mean, averaged over runs (not cross-validated).
    fold_effect : ndarray, (R, V), float32
        Response of each left-out run in percent.
    fold_t : ndarray, (R, V), float32
        The same divided by its standard error within that run.
    """

    score: np.ndarray
    effect: np.ndarray
    fold_effect: np.ndarray
    fold_t: np.ndarray


def run_response(
    series: np.ndarray,
    regressor: np.ndarray,
    *,
    degree: int,
    lags: int = 0,
    chunk_voxels: int = 16384,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one regressor and polynomial drift to one run.

    The standard error allows for noise that is correlated in time, as it is in every series and
    more so after interpolation to a shorter interval: the autocorrelations of residual and
    regressor, multiplied and summed over lags, tell how much wider it is than for white noise.

    Parameters
    ----------
    series : ndarray, (V, T)
        Masked series in signal units; may be a memory map, it is read in chunks.
    regressor : ndarray, (T,)
        Image trials convolved with an assumed response of peak 1.
    degree : int
        Degree of the drift polynomials.
    lags : int
        Samples over which noise may be correlated; 0 takes it as white.
    chunk_voxels : int
        Voxels read at a time; bounds the memory.

    Returns
    -------
    effect : ndarray, (V,), float32
        Response in percent of the voxel's mean over the run; 0 where that mean is not positive.
    t : ndarray, (V,), float32
        Effect over its standard error.

    Raises
    ------
    DataError
        When lengths differ or the regressor holds nothing beyond the drift.

    References
    ----------
    Bartlett 1946, Suppl. J. R. Stat. Soc. 8 (variance of products of autocorrelated series).
    """
    regressor = np.asarray(regressor, float)
    if series.ndim != 2 or regressor.shape != (series.shape[1],):
        raise DataError(
            f"series {series.shape} and regressor {regressor.shape} do not belong together; "
            "expected (voxels, volumes) and (volumes,)"
        )
    n_volumes = regressor.size
    basis = drifts.polynomials(n_volumes, degree)
    x = regressor - basis @ (basis.T @ regressor)
    power = x @ x
    if not varies(regressor, degree):
        raise DataError(
            "the image regressor is constant or pure drift: the run has no image trials"
        )
    dof = n_volumes - basis.shape[1] - 1
    spread = _autocorrelation(x, lags)
    effect = np.zeros(series.shape[0], np.float32)
    t = np.zeros(series.shape[0], np.float32)
    for start in range(0, series.shape[0], chunk_voxels):
        block = np.array(series[start : start + chunk_voxels], np.float64)
        mean = block.mean(1)
        block -= (block @ basis) @ basis.T
        beta = block @ x / power
        block -= beta[:, None] * x
        error = np.sqrt(np.einsum("vt,vt->v", block, block) / dof / power)
        # The variance of the effect under correlated noise over that under white noise.
        inflation = np.einsum("vt,vt->v", block @ spread, block)
        inflation /= np.maximum(np.einsum("vt,vt->v", block, block), 1e-30)
        error *= np.sqrt(np.maximum(inflation, 1))
        usable = np.isfinite(beta) & (mean > 0) & (error > 1e-6 * mean / np.sqrt(power))
        stop = start + len(block)
        effect[start:stop] = np.where(usable, 100 * beta / np.where(usable, mean, 1), 0)
        t[start:stop] = np.where(usable, beta / np.where(usable, error, 1), 0)
    return effect, t


def _autocorrelation(x: np.ndarray, lags: int) -> np.ndarray:
    """Return the (T, T) matrix of the autocorrelation of a regressor, 0 beyond `lags`."""
    row = np.zeros(x.size)
    for lag in range(min(lags, x.size - 1) + 1):
        row[lag] = x[lag:] @ x[: x.size - lag] / (x @ x)
    return toeplitz(row)


def folds(
    series: Sequence[np.ndarray], regressors: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return runs for cross-validation: the halves of a single run, as they are otherwise.

    Parameters
    ----------
    series : sequence of ndarray, (V, T_r)
    regressors : sequence of ndarray, (T_r,)

    Returns
    -------
    series, regressors : lists
        Views, not copies.
    """
    if len(series) != 1:
        return list(series), list(regressors)
    middle = series[0].shape[1] // 2
    halves = slice(None, middle), slice(middle, None)
    return [series[0][:, half] for half in halves], [regressors[0][half] for half in halves]


def visual_response(
    series: Sequence[np.ndarray],
    regressors: Sequence[np.ndarray],
    *,
    degrees: Sequence[int],
    lags: int = 0,
    statistic: str = "t",
) -> VisualResponse:
    """Measure the leave-one-run-out image-versus-blank response of a session.

    In the fold that leaves out run *r* the other runs vote (is the sum of their t values positive?)
    and run *r* is measured. The fold counts its measurement ``m_r`` where the vote was positive and
    0 elsewhere. The score is ``sum_r vote_r * t_r / sqrt(R)`` for ``statistic="t"`` and
    ``mean_r vote_r * effect_r`` for ``statistic="percent"``.

    Because the vote and the measurement come from different runs, the expected score of a voxel
    without response is exactly 0, whatever its noise level; voxels with negative responses also
    score about 0. Without a response the t score has at most about unit variance, so a threshold
    means the same for 4 and for 12 runs; fluctuations that follow the task by chance widen it.

    Parameters
    ----------
    series : sequence of ndarray, (V, T_r)
        One masked series per run (memory maps welcome).
    regressors : sequence of ndarray, (T_r,)
        Image trials against baseline, convolved with an assumed response.
    degrees : sequence of int
        Degree of the drift polynomials per run, see `drifts.degree`.
    lags : int
        Samples over which noise may be correlated, see :func:`run_response`.
    statistic : {"t", "percent"}
        Which measurement is scored.

    Returns
    -------
    VisualResponse

    Raises
    ------
    DataError
        With fewer than two runs, or runs of unequal voxel counts.
    ConfigError
        For an unknown statistic.
    """
    if statistic not in ("t", "percent"):
        raise ConfigError(f"statistic is {statistic!r}; accepted: 't', 'percent'")
    if not len(series) == len(regressors) == len(degrees):
        raise DataError(
            f"{len(series)} series, {len(regressors)} regressors and {len(degrees)} drift degrees; "
            "one of each per run is needed"
        )
    if len(series) < 2:
        raise DataError(
            f"a leave-one-run-out response needs at least 2 runs, the session has {len(series)}; "
            "give a mask file for the comparison instead"
        )
    counts = {s.shape[0] for s in series}
    if len(counts) > 1:
        raise DataError(f"the runs have different numbers of mask voxels: {sorted(counts)}")
    fits = [
        run_response(s, x, degree=d, lags=lags)
        for s, x, d in zip(series, regressors, degrees, strict=True)
    ]
    effect = np.stack([f[0] for f in fits])
    t = np.stack([f[1] for f in fits])
    n_runs = len(fits)
    vote = (t.sum(0) - t) > 0
    scored = t / np.sqrt(n_runs) if statistic == "t" else effect / n_runs
    score = (vote * scored).sum(0)
    return VisualResponse(
        score=score.astype(np.float32),
        effect=effect.mean(0).astype(np.float32),
        fold_effect=effect,
        fold_t=t,
    )


def score(
    series: Sequence[np.ndarray], regressors: Sequence[np.ndarray], *, tr: float, lags: int
) -> np.ndarray:
    """Return the cross-validated score of a session, of one run or more.

    Parameters
    ----------
    series, regressors, lags
        See :func:`visual_response`; a single run is cut in halves.
    tr : float
        Seconds between samples.

    Returns
    -------
    (V,) float32 array
        NaN where responses cannot be told from the baseline: images without blanks at equal
        distances are a constant.
    """
    parts, wanted = folds(series, regressors)
    degrees = [drifts.degree(len(regressor), tr=tr) for regressor in wanted]
    if not all(varies(x, degree) for x, degree in zip(wanted, degrees, strict=True)):
        return np.full(len(series[0]), np.nan, np.float32)
    return visual_response(parts, wanted, degrees=degrees, lags=lags).score


def varies(regressor: np.ndarray, degree: int) -> bool:
    """Tell whether a regressor holds anything beyond polynomial drift."""
    basis = drifts.polynomials(len(regressor), degree)
    rest = regressor - basis @ (basis.T @ regressor)
    return bool(rest @ rest > _NOTHING * max(regressor @ regressor, 1e-30))


def consensus(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return, voxel by voxel, the score that more than half of the variants reach.

    A voxel of it lies above a threshold just where a majority would choose it alone. Every variant
    has one vote: scores grow with tSNR, and a mean would be that of the variants with most of it.

    Parameters
    ----------
    scores : sequence of ndarray, (V,)
        One score map per variant, same voxels.

    Returns
    -------
    ndarray, (V,), float32

    Raises
    ------
    DataError
        When there is no map or the maps differ in length.
    """
    shapes = {np.shape(s) for s in scores}
    if len(shapes) != 1:
        raise DataError(
            f"consensus needs score maps of one shape, got {sorted(shapes) or 'no map at all'}"
        )
    ordered = np.sort(np.stack(list(scores)), axis=0)[::-1]
    return ordered[len(ordered) // 2].astype(np.float32)


def select(score: np.ndarray, *, threshold: float, min_voxels: int = FEWEST_VOXELS) -> np.ndarray:
    """Return the voxels whose cross-validated response is positive and above a threshold.

    Parameters
    ----------
    score : ndarray, (V,)
        Score map from :func:`visual_response` or :func:`consensus`.
    threshold : float
        In the unit of the score (t-like or percent); at least 0.
    min_voxels : int
        Fewer selected voxels than this are an error.

    Returns
    -------
    ndarray, (V,), bool

    Raises
    ------
    ConfigError
        For a negative threshold.
    DataError
        When fewer than ``min_voxels`` voxels pass.
    """
    if not threshold >= 0:
        raise ConfigError(f"the response threshold is {threshold}; it must be 0 or larger")
    mask = np.asarray(score) > threshold
    if mask.sum() < min_voxels:
        raise DataError(
            f"only {int(mask.sum())} voxels respond above {threshold:g} (largest score "
            f"{np.max(score, initial=0):.3g}, at least {min_voxels} voxels needed); lower the "
            "threshold or give a mask file"
        )
    return mask
