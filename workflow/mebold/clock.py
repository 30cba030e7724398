"""Times of day: BIDS gives the clock time of an acquisition, often without its date."""

from collections.abc import Iterable

import numpy as np

_DAY_S = 86400.0


def elapsed(time_s: np.ndarray | float, since_s: float) -> np.ndarray | float:
    """Return how long after one time of day others are.

    Parameters
    ----------
    time_s : float or array
        Seconds since midnight.
    since_s : float
        Seconds since midnight; both belong to one session, which lasts less than 12 hours.

    Returns
    -------
    float or array
        Seconds between -12 and 12 hours, negative before `since_s`: a session may run over
        midnight.
    """
    return np.mod(np.asarray(time_s, dtype=np.float64) - since_s + _DAY_S / 2, _DAY_S) - _DAY_S / 2


def earliest(times_s: Iterable[float | None]) -> float | None:
    """Return the first of some times of day of one session; None when none is known."""
    known = [time for time in times_s if time is not None]
    return min(known, key=lambda time: elapsed(time, known[0]), default=None)
