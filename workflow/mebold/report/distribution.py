"""Histograms of the measures of all runs, as bars to draw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from mebold.report.quality import MEASURES

# Drawing area of a histogram, in the units of its picture.
_LEFT, _WIDTH, _BASE, _HEIGHT = 10.0, 220.0, 70.0, 62.0
_MOST_BARS = 24
#: Measure -> keys of the limits that are drawn.
LIMITS = {
    "fd_mean": ("look_fd_mm", "bad_fd_mm"),
    "outliers_perc": ("look_outliers_percent", "bad_outliers_percent"),
}


@dataclass
class Distribution:
    """A histogram."""

    name: str
    unit: str
    about: str
    count: int
    low: float
    high: float
    low_text: str
    high_text: str
    median: str
    bars: list[dict[str, float]]
    limits: list[dict[str, float]]
    marks: list[float]


def of(
    name: str,
    numbers: Sequence[Mapping[str, float | None]],
    limits: Mapping[str, float],
    *,
    own: Sequence[Mapping[str, float | None]] = (),
) -> Distribution | None:
    """Return the histogram of a measure; None where no run has it.

    Parameters
    ----------
    name : str
        Key of `mebold.report.quality.MEASURES`.
    numbers : sequence of mappings
        Of all runs.
    limits : mapping
        Limits of the verdict; those within the values are drawn.
    own : sequence of mappings
        Runs that are marked.
    """
    values = [one[name] for one in numbers if one.get(name) is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    span = high - low or max(abs(high), 1.0) * 0.1
    low, high = (low, high) if high > low else (low - span / 2, high + span / 2)
    n_bars = max(1, min(_MOST_BARS, math.ceil(2 * math.sqrt(len(values)))))
    counts = [0] * n_bars
    for value in values:
        counts[min(n_bars - 1, int((value - low) / (high - low) * n_bars))] += 1
    width, top = _WIDTH / n_bars, max(counts)
    bars = [
        {"x": round(_LEFT + i * width, 2), "w": round(width * 0.92, 2),
         "y": round(_BASE - _HEIGHT * n / top, 2), "h": round(_HEIGHT * n / top, 2)}
        for i, n in enumerate(counts)
        if n
    ]  # fmt: skip

    def place(value: float) -> float:
        return round(_LEFT + _WIDTH * (value - low) / (high - low), 2)

    drawn = [limits[key] for key in LIMITS.get(name, ()) if low <= limits[key] <= high]
    marked = [one[name] for one in own if one.get(name) is not None]
    unit, about = MEASURES[name]
    return Distribution(
        name=name,
        unit=unit,
        about=about,
        count=len(values),
        low=low,
        high=high,
        low_text=short(low),
        high_text=short(high),
        median=short(median(values)),
        bars=bars,
        limits=[{"x": place(value), "value": value} for value in drawn],
        marks=sorted({place(value) for value in marked}),
    )


def short(value: float | None) -> str:
    """Write a number for a table: three digits that count, a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.3g}"
