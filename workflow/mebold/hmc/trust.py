"""Which volumes of a series cannot be trusted: matches and overlaps against those of the series."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

#: A volume with less than this share of the head in its field of view is doubtful in any series.
_HALF = 0.5

#: What the good volumes of a series reach: so high a quantile that most others may be bad.
_LEVEL = 0.9


class Trust(NamedTuple):
    """Limits of a volume that is trusted, relative to the level of its series.

    Attributes
    ----------
    drop : float
        Largest share of the correlation that it may fall short of.
    overlap : float
        Least share of the overlap that it must reach.
    floor : float
        Least correlation in any series.
    """

    drop: float = 0.02
    overlap: float = 0.75
    floor: float = 0.6


def of(settings: Mapping) -> Trust:
    """Return the limits of section ``hmc`` of the configuration."""
    return Trust(drop=settings["doubtful_drop"], overlap=settings["least_overlap"])


def level(values: np.ndarray, counts: np.ndarray) -> float:
    """Return what the good volumes of a series reach, even where most are bad.

    Parameters
    ----------
    values : (t,) array
        Of each volume, higher is better.
    counts : (t,) bool array
        Volumes that are looked at.

    Returns
    -------
    float
        Their 90th percentile; 1 where there is none.
    """
    return float(np.quantile(values[counts], _LEVEL)) if counts.any() else 1.0


def doubted(
    correlation: np.ndarray,
    overlap: np.ndarray,
    converged: np.ndarray,
    *,
    trust: Trust,
    non_steady: int = 0,
) -> np.ndarray:
    """Return which volumes cannot be trusted.

    Parameters
    ----------
    correlation : (t,) array
        Of each volume with the reference, after the fit.
    overlap : (t,) array
        Share of the reference points inside each volume.
    converged : (t,) bool array
        False for fits that did not, and for volumes without one.
    trust : Trust
    non_steady : int
        Volumes at the start whose contrast is another one: their correlation is held against the
        floor only, and they do not count for the level.

    Returns
    -------
    (t,) bool array
    """
    first = np.arange(len(correlation)) < non_steady
    counts = converged & ~first
    short = correlation < (1 - trust.drop) * level(correlation, counts)
    narrow = overlap < max(_HALF if trust.overlap else 0.0, trust.overlap * level(overlap, counts))
    return ~converged | (short & ~first) | (correlation < trust.floor) | narrow
