"""Stored phase values to radians, from the range the scanner is known to use."""

import logging

import numpy as np

from mebold.errors import DataError, MetadataError

logger = logging.getLogger(__name__)

#: Stored values at -pi and +pi (the upper end is the same angle as the lower) of known exports.
PHASE_RANGES: dict[str, tuple[float, float]] = {
    "radians": (-np.pi, np.pi),
    "radians_positive": (0.0, 2.0 * np.pi),
    "siemens_signed": (-4096.0, 4096.0),
    "siemens_unsigned": (0.0, 4096.0),
    "signed_12bit": (-2048.0, 2048.0),
    "milliradians": (-1000.0 * np.pi, 1000.0 * np.pi),
}
# Ends within this share of the width count as reached: 4094 of 4096, 3141 of 3141.6.
_TOLERANCE = 0.005
# A narrower spread says nothing about the range it came from.
_LEAST_COVERAGE = 0.25


def detect_phase_range(phase: np.ndarray, *, name: str = "the phase image") -> str:
    """Find which known range a phase image uses.

    A range is admissible when the values fit into it and fill a good part of it. The answer is
    unique when the extremes reach both ends of exactly one admissible range (noise outside the
    head does that) or when only one range is admissible at all.

    Parameters
    ----------
    phase : array
        Stored values, scale factors of the header applied.
    name : str
        For messages.

    Returns
    -------
    str
        A key of `PHASE_RANGES`.

    Raises
    ------
    MetadataError
        When no range or more than one fits.
    DataError
        When the image is constant or has no finite value.
    """
    low, high = _extremes(phase, name)
    admissible, reached = [], []
    for key, (start, end) in PHASE_RANGES.items():
        slack = _TOLERANCE * (end - start)
        if low < start - slack or high > end + slack:
            continue
        if high - low >= _LEAST_COVERAGE * (end - start):
            admissible.append(key)
        if low <= start + slack and high >= end - slack:
            reached.append(key)
    for candidates in (reached, _merge_radians(admissible)):
        if len(candidates) == 1:
            logger.info("%s: values %g..%g read as %s", name, low, high, candidates[0])
            return candidates[0]
    fits = f"fits {' and '.join(admissible)}" if admissible else "fits no known range"
    message = (
        f"{name}: values {low:g}..{high:g}, which {fits}. Give the stored values that mean -pi and "
        "+pi as a pair of numbers, or one of: " + ", ".join(PHASE_RANGES) + "."
    )
    raise MetadataError(message)


def _merge_radians(keys: list[str]) -> list[str]:
    """Keep one radian range: both have the same unit and zero."""
    if "radians" in keys and "radians_positive" in keys:
        return [key for key in keys if key != "radians_positive"]
    return keys


def phase_to_radians(
    phase: np.ndarray,
    *,
    value_range: tuple[float, float] | str | None = None,
    units: str | None = None,
    name: str = "the phase image",
) -> np.ndarray:
    """Convert stored phase values to radians.

    The image's own extremes never set the scale: they only choose among known ranges.

    Parameters
    ----------
    phase : array
        Stored values, scale factors of the header applied.
    value_range : (low, high) or str, optional
        Values that mean -pi and +pi, or a key of `PHASE_RANGES`. Detected when not given.
    units : str, optional
        BIDS ``Units``; ``rad`` means that the values are radians already.
    name : str
        File name, for messages.

    Returns
    -------
    float32 array
        Radians in -pi..pi, same shape; values that are not finite become NaN.

    Raises
    ------
    MetadataError
        When the range is unclear, not a range, or exceeded by the values.
    DataError
        When the image is constant or has no finite value.
    """
    low, high = _extremes(phase, name)
    if value_range is None:
        in_radians = str(units).strip().lower() in {"rad", "radian", "radians"}
        value_range = "radians" if in_radians else detect_phase_range(phase, name=name)
    wanted = value_range
    if isinstance(wanted, str):
        if wanted not in PHASE_RANGES:
            message = f"phase range {wanted!r} is not known: use {', '.join(PHASE_RANGES)}."
            raise MetadataError(message)
        wanted = PHASE_RANGES[wanted]
    start, end = (float(value) for value in wanted)
    _check_range(low, high, start, end, value_range, name)
    values = np.asarray(phase, dtype=np.float64)
    if str(value_range).startswith("radians"):
        radians = values
    else:
        radians = (values - start) / (end - start) * 2.0 * np.pi - np.pi
    radians = np.where(np.isfinite(values), radians, np.nan)
    # Wrapping by remainder keeps values that already lie in range exact to rounding.
    wrapped = radians - 2.0 * np.pi * np.round(radians / (2.0 * np.pi))
    return wrapped.astype(np.float32)


def series_to_radians(
    phase: np.ndarray, *, value_range: tuple[float, float] | None = None, name: str
) -> np.ndarray:
    """Scale the phase of a series to radians, up to a constant that depends on the range alone.

    Parameters
    ----------
    phase : (x, y, z, t) float32 array
        Stored values; overwritten.
    value_range : (low, high), optional
        Stored values of -pi and +pi; detected among the known ranges when not given.
    name : str
        File name, for messages.

    Returns
    -------
    (x, y, z, t) float32 array
        `phase` itself. Differences between images of one range are right, the zero is not: this
        is for phases that are compared with each other, and spares copies of a long series.

    Raises
    ------
    MetadataError, DataError
        As `phase_to_radians`.
    """
    low, high = np.nanmin(phase), np.nanmax(phase)
    ends = np.array([low, high], dtype=np.float64)
    key = detect_phase_range(ends, name=name) if value_range is None else value_range
    start, end = PHASE_RANGES[key] if isinstance(key, str) else map(float, key)
    _check_range(*_extremes(ends, name), start, end, key, name)
    phase *= np.float32(2.0 * np.pi / (end - start))
    return phase


def _check_range(
    low: float, high: float, start: float, end: float, given: object, name: str
) -> None:
    """Raise when a range is empty or values lie clearly outside it."""
    if not end > start:
        message = f"phase range {given!r}: the first value must be below the second."
        raise MetadataError(message)
    if given in ("radians", "radians_positive"):
        # Unwrapped radians are legitimate, stored integers of thousands are not.
        start, end = -50.0 * np.pi, 50.0 * np.pi
    slack = _TOLERANCE * (end - start)
    if low < start - slack or high > end + slack:
        message = (
            f"{name}: values {low:g}..{high:g} lie outside the range {start:g}..{end:g} "
            f"given by {given!r}; give the stored values that mean -pi and +pi."
        )
        raise MetadataError(message)


def _extremes(phase: np.ndarray, name: str) -> tuple[float, float]:
    """Return the smallest and largest finite value."""
    values = np.asarray(phase, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        message = f"{name} holds no finite value or one value only: there is no phase in it."
        raise DataError(message)
    return float(finite.min()), float(finite.max())
