"""Slow drifts of a run as regressors: polynomials and cosines."""

import numpy as np

from mebold.errors import ConfigError


def degree(n_volumes: int, *, tr: float) -> int:
    """Return the usual degree of the slow drifts of a run: one per two minutes, rounded half up.

    Parameters
    ----------
    n_volumes : int
        Length of the run.
    tr : float
        Sampling interval, s.

    Returns
    -------
    int
    """
    return int(np.floor(n_volumes * tr / 120 + 0.5))


def polynomials(n_volumes: int, degree: int) -> np.ndarray:
    """Return an orthonormal basis of the polynomials of degree 0 to `degree`.

    Parameters
    ----------
    n_volumes : int
        Length of the run.
    degree : int
        Highest degree; -1 gives no columns.

    Returns
    -------
    (n_volumes, degree + 1) float64 array

    Raises
    ------
    ConfigError
        When the run has too few volumes for the degree.
    """
    if degree + 1 >= n_volumes:
        raise ConfigError(
            f"polynomial degree {degree} needs more than {degree + 1} volumes, "
            f"the run has {n_volumes}"
        )
    times = np.linspace(-1, 1, n_volumes)
    return np.linalg.qr(np.polynomial.legendre.legvander(times, max(degree, 0)))[0][:, : degree + 1]


def cosines(n_times: int, *, tr: float, period_s: float, skip: int = 0) -> np.ndarray:
    """Return the discrete cosine regressors slower than a period, without the constant.

    Parameters
    ----------
    n_times : int
        Samples of the series.
    tr : float
        Seconds between samples.
    period_s : float
        Shortest period of a regressor in seconds.
    skip : int
        Leading samples outside the basis; they are 0.

    Returns
    -------
    (T, K) float64 array
        K may be 0 in a short series.

    References
    ----------
    nipype 1.10 ``algorithms.confounds.cosine_filter``.
    """
    from nipype.algorithms.confounds import cosine_filter

    n_used = n_times - skip
    if n_used < 2:
        return np.zeros((n_times, 0))
    basis = cosine_filter(np.zeros((1, n_used)), tr, period_s)[1]
    if basis.size == 0:
        return np.zeros((n_times, 0))
    return np.vstack([np.zeros((skip, basis.shape[1])), basis])
