"""T2* and S0 of a run or of a whole session, fitted by tedana from a few sums per voxel.

A log-linear fit over all time points has the same solution as a fit of the time-averaged
logarithms, and a nonlinear least-squares fit the same solution as a fit of the time-averaged
signal, because the model does not change with time. So each run is reduced to per-echo averages
(`summarise`), runs are pooled by weighting with their lengths (`pool`), and tedana's own fit
functions see one equivalent volume (`fit`).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning

from mebold.errors import ConfigError, DataError, MetadataError
from mebold.multiecho import tedana_log
from mebold.multiecho.summary import Summary

_METHODS = ("loglin", "curvefit")
#: Limits of T2* where it rests on two weak echoes, s.
_LIMITS_S = (0.001, 0.5)
_MASK_METHODS = ("dropout", "decay", "none")

# What the maps hold, for their sidecars.
ADAPTIVE_MASK = "Number of leading echoes with good signal."
RMSE = (
    "Root mean squared difference of mean signal and fitted decay over the good echoes. "
    "NaN with one good echo, 0 without signal."
)
R_SQUARED = (
    "Share of the variance of the log signal over the good echoes that the fitted decay explains. "
    "NaN with one or two good echoes, 0 without signal."
)


@dataclass(frozen=True)
class DecayFit:
    """Result of `fit`; every map has shape (V,) and is 0 where no echo has signal.

    Attributes
    ----------
    t2star : float32 array
        Seconds, with tedana's floors and ceilings.
    s0 : float32 array
        Signal at echo time 0, in signal units.
    adaptive_mask : int16 array
        Number of leading echoes with good signal, 0 to E.
    rmse : float32 array
        Root of the mean squared difference over the good echoes between mean signal and fitted
        decay, in signal units. NaN with fewer than two good echoes.
    r_squared : float32 array
        Share of the variance of the log signal over good echoes that the fitted decay explains.
        NaN with fewer than three good echoes, where a line always fits.
    failed : bool array
        Voxels where the nonlinear fit failed and the log-linear estimate was kept.
    weights_t2star : float32 array
        Seconds, what echoes are combined with: `t2star`, and where no echo is good although there
        are data, the estimate from the first two echoes. Without it the combination would lack
        voxels that a single echo has.
    weights_echoes : int16 array
        The same for `adaptive_mask`: 1 in such voxels.
    """

    t2star: np.ndarray
    s0: np.ndarray
    adaptive_mask: np.ndarray
    rmse: np.ndarray
    r_squared: np.ndarray
    failed: np.ndarray
    weights_t2star: np.ndarray
    weights_echoes: np.ndarray


def check_echo_times(te_s: Sequence[float], n_echoes: int, *, minimum: int = 2) -> np.ndarray:
    """Return echo times as a float64 array after checks of number, order and unit.

    Parameters
    ----------
    te_s : (E,) sequence of float
        Seconds.
    n_echoes : int
        Number of echoes of the data.
    minimum : int
        Smallest number of echoes that the caller can use.

    Raises
    ------
    MetadataError
        When the number differs from the data, or the times do not ascend, or they cannot be
        seconds.
    ConfigError
        When there are fewer echoes than `minimum`.
    """
    times = np.asarray(te_s, dtype=np.float64).ravel()
    if times.size != n_echoes:
        message = f"{times.size} echo times given for {n_echoes} echoes; one per echo is needed."
        raise MetadataError(message)
    if times.size < minimum:
        message = (
            f"{times.size} echo(es) found, at least {minimum} are needed here; "
            "use the variant with one echo for this run."
        )
        raise ConfigError(message)
    if not (np.all(np.isfinite(times)) and np.all(times > 0) and np.all(np.diff(times) > 0)):
        message = f"Echo times must be positive and ascend, got {times.tolist()} s."
        raise MetadataError(message)
    if times[-1] >= 1:
        message = (
            f"Echo times must be in seconds, got {times.tolist()}; "
            "BIDS EchoTime is in seconds (0.011, not 11)."
        )
        raise MetadataError(message)
    return times


def adaptive_mask(
    summary: Summary,
    *,
    methods: Sequence[str] = ("dropout",),
    tolerated_nonpositive: float = 0.0,
) -> np.ndarray:
    """Count the leading echoes with good signal in each voxel, by tedana's rules.

    Parameters
    ----------
    summary : Summary
    methods : sequence of {"dropout", "decay", "none"}
        "dropout": the mean signal of an echo exceeds a third of that of a reference voxel (33rd
        percentile of the first echo). "decay": the mean signal still falls at that echo.
    tolerated_nonpositive : float
        Share of time points, 0 to 1, that may be zero, negative or not finite before an echo
        counts as bad. 0 is tedana's rule, under which one such sample ends the good echoes;
        cubic interpolation near dropout and sessions of thousands of volumes can need more.

    Returns
    -------
    (V,) int16 array
        0 where not even the first echo is good.

    Raises
    ------
    ConfigError
        For an unknown method.

    References
    ----------
    tedana 26.0.1, ``tedana.utils.make_adaptive_mask``.
    """
    from tedana.utils import make_adaptive_mask

    unknown = sorted(set(methods) - set(_MASK_METHODS))
    if unknown or not methods:
        message = f"Adaptive mask method {unknown or list(methods)}: choose from {_MASK_METHODS}."
        raise ConfigError(message)
    if not 0 <= tolerated_nonpositive < 1:
        message = f"tolerated_nonpositive is {tolerated_nonpositive}; a share from 0 to below 1."
        raise ConfigError(message)
    bad = summary.nonpositive > tolerated_nonpositive * summary.n
    # Two volumes stand for the series: exactly the same mean, and a zero where an echo is bad.
    # Single precision, like the data that tedana sees: its reference voxel is found by equality.
    mean = summary.mean.T.astype(np.float32)
    volumes = np.stack([np.where(bad.T, 0, mean), np.where(bad.T, 2 * mean, mean)], axis=-1)
    if not np.any(summary.mean[0] != 0):
        message = "The first echo is zero in every voxel of the mask: no signal to fit."
        raise DataError(message)
    with tedana_log.quiet():
        _, good = make_adaptive_mask(volumes, threshold=1, methods=list(methods))
    return np.asarray(good, dtype=np.int16)


def _fit_good(
    summary: Summary, times_ms: np.ndarray, good: np.ndarray, method: str, n_threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run tedana's fit on voxels that have signal; T2* in ms, S0, failures."""
    from tedana.decay import fit_decay, modify_t2s_s0_maps

    # tedana takes log(|x| + 1) itself, so its one volume is the inverse of the mean logarithm.
    volume = np.expm1(summary.mean_log) if method == "loglin" else summary.mean
    with (
        tedana_log.quiet(),
        np.errstate(divide="ignore", invalid="ignore", over="ignore"),
        warnings.catch_warnings(),
    ):
        # A perfect fit has no covariance, which is not asked for here.
        warnings.simplefilter("ignore", OptimizeWarning)
        t2star, s0, failed, *_ = fit_decay(
            volume.T, times_ms, good, method, report=False, n_threads=n_threads
        )
        t2star, s0, *_ = modify_t2s_s0_maps(t2star, s0, good, times_ms)
    if failed is None:
        failed = np.zeros(good.shape, dtype=bool)
    return t2star, s0, np.asarray(failed, dtype=bool)


def _goodness(
    summary: Summary, times_ms: np.ndarray, good: np.ndarray, t2star_ms: np.ndarray, s0: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squared error of the mean signal and explained share of the log signal."""
    used = np.arange(len(times_ms))[:, None] < good[None, :]
    n_used = np.maximum(used.sum(axis=0), 1)
    predicted = s0 * np.exp(-times_ms[:, None] / t2star_ms)
    squared = np.where(used, (summary.mean - predicted) ** 2, 0.0)
    rmse = np.sqrt(squared.sum(axis=0) / n_used)
    centre = np.where(used, summary.mean_log, 0.0).sum(axis=0) / n_used
    total = np.where(used, (summary.mean_log - centre) ** 2, 0.0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_predicted = np.log(s0) - times_ms[:, None] / t2star_ms
        residual = np.where(used, (summary.mean_log - log_predicted) ** 2, 0.0).sum(axis=0)
        r_squared = 1 - residual / total
    rmse[good < 2] = np.nan
    r_squared[(good < 3) | ~np.isfinite(r_squared)] = np.nan
    return rmse, r_squared


def fit(
    summary: Summary,
    te_s: Sequence[float],
    *,
    method: str = "loglin",
    mask_methods: Sequence[str] = ("dropout",),
    tolerated_nonpositive: float = 0.0,
    n_threads: int = 1,
) -> DecayFit:
    """Fit S0 exp(-TE / T2*) in every voxel with tedana.

    Parameters
    ----------
    summary : Summary
        Of one run or of several pooled runs, V voxels and E echoes.
    te_s : (E,) sequence of float
        Echo times in seconds, ascending.
    method : {"loglin", "curvefit"}
        Log-linear least squares, or nonlinear least squares started there (slow: one optimisation
        per voxel).
    mask_methods, tolerated_nonpositive
        As in `adaptive_mask`.
    n_threads : int
        Processes of the nonlinear fit.

    Returns
    -------
    DecayFit
        Voxels with a single good echo carry the estimate from the first two echoes.

    Raises
    ------
    ConfigError
        For an unknown method or fewer than two echoes.
    MetadataError
        For echo times that do not fit the data or are not in seconds.
    DataError
        When no voxel has signal.

    References
    ----------
    tedana 26.0.1, ``tedana.decay.fit_decay`` and ``modify_t2s_s0_maps`` (milliseconds inside).
    """
    if method not in _METHODS:
        message = f"T2* fit method {method!r} is unknown; choose from {_METHODS}."
        raise ConfigError(message)
    n_echoes, n_voxels = summary.mean.shape
    times_ms = check_echo_times(te_s, n_echoes) * 1000
    good = adaptive_mask(summary, methods=mask_methods, tolerated_nonpositive=tolerated_nonpositive)
    inside = good > 0
    if not inside.any():
        message = (
            f"None of {n_voxels} voxels has a good first echo; "
            "check the mask and that the images hold positive magnitudes."
        )
        raise DataError(message)
    part = Summary(
        summary.mean[:, inside],
        summary.mean_log[:, inside],
        summary.nonpositive[:, inside],
        summary.n,
    )
    t2star, s0, failed = _fit_good(part, times_ms, good[inside], method, n_threads)
    rmse, r_squared = _goodness(part, times_ms, good[inside], t2star, s0)

    def spread(values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Put values of voxels with signal back among all voxels."""
        full = np.zeros(n_voxels, dtype=dtype)
        full[inside] = values
        return full

    weak = ~inside & (summary.mean[:2] > 0).all(axis=0)
    weights = spread(t2star / 1000)
    weights[weak] = _of_two_echoes(summary.mean[:2, weak], times_ms[:2] / 1000)
    return DecayFit(
        t2star=spread(t2star / 1000),
        s0=spread(s0),
        adaptive_mask=good,
        rmse=spread(rmse),
        r_squared=spread(r_squared),
        failed=spread(failed, bool),
        weights_t2star=weights,
        weights_echoes=np.where(weak, 1, good).astype(good.dtype),
    )


def _of_two_echoes(mean: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return T2* (V,) in s from the mean signals (2, V) of two echoes, within sensible limits.

    Of the means and not of logarithms: a single sample below zero must not decide.
    """
    with np.errstate(divide="ignore"):
        found = (times_s[1] - times_s[0]) / np.log(mean[0] / mean[1])
    # A signal that does not fall with the echo time decays more slowly than can be told.
    return np.clip(np.where(found > 0, found, np.inf), *_LIMITS_S)
