"""Slow drifts of a run as polynomials."""

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
