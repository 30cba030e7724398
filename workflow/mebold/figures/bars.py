"""Bars of variants: names, places, colours, intervals and subjects."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mebold.compare.subjects import sem
from mebold.figures.style import BLUE, GREY, INK, MARKERS
from mebold.variants import ECHOES, THERMAL, VARIANTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"standard": GREY, "nordic": BLUE}
_OTHER = ("#666666", INK)


def _levels(variant: str) -> tuple[str, str]:
    """Return thermal level and echo treatment; a name that is none of the six is its own."""
    return VARIANTS.get(variant, ("", variant))


def _positions(variants: Sequence[str]) -> tuple[dict[str, float], list[tuple[float, str]]]:
    """Place bars: echo treatments side by side, thermal levels within; return tick labels too."""
    groups: dict[str, list[str]] = {}
    for variant in variants:
        groups.setdefault(_levels(variant)[1], []).append(variant)
    places, ticks, x = {}, [], 0.0
    for echoes, members in groups.items():
        members = sorted(members, key=lambda v: list(THERMAL).index(_levels(v)[0] or "standard"))
        for i, variant in enumerate(members):
            places[variant] = x + i * 0.8
        words = textwrap.fill(ECHOES.get(echoes, echoes), 11, break_long_words=False)
        ticks.append((x + 0.4 * (len(members) - 1), words))
        x += 0.8 * len(members) + 0.5
    return places, ticks


def colour_of(variant: str) -> str:
    """Return the colour of a variant's thermal level."""
    return COLOURS.get(_levels(variant)[0], _OTHER[0])


def draw_bars(axes: Axes, part: pd.DataFrame, label: str, *, marked: Collection[str] = ()) -> None:
    """Draw bars with intervals (one subject) or SEM and subjects as points (several).

    The values of the variants in `marked` carry an asterisk.
    """
    part = part[part["value"].notna()]
    axes.set_ylabel(label)
    if part.empty:
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", color="#666666")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    variants = list(dict.fromkeys(part["variant"]))
    places, ticks = _positions(variants)
    wide = part.pivot_table(index="subject", columns="variant", values="value", sort=False)
    several = len(wide) > 1
    for variant in variants:
        x, values = places[variant], wide[variant].dropna().to_numpy()
        axes.bar(x, values.mean(), 0.72, color=colour_of(variant), alpha=0.75, lw=0, zorder=1)
        error = _bar_error(part[part["variant"] == variant], values, several)
        if error is not None:
            axes.errorbar(
                x, values.mean(), error, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5,
                zorder=4,
            )  # fmt: skip
    if several:
        _subject_points(axes, wide, places)
    axes.axhline(0, color=INK, lw=0.7)
    if not part["value"].any():
        axes.set_ylim(0, 1)
    _write_values(axes, {places[v]: (wide[v].mean(), v in marked) for v in variants})
    axes.set_xticks([t[0] for t in ticks], [t[1] for t in ticks])
    axes.tick_params(axis="x", length=0)


def _write_values(axes: Axes, bars: Mapping[float, tuple[float, bool]]) -> None:
    """Write the values at the foot of the bars, (value, asterisk?) at each place."""
    low, high = axes.get_ylim()
    counts = all(float(value).is_integer() for value, _ in bars.values())
    # More digits than these do not fit into a bar.
    size = high - low
    decimals = 0 if counts or size > 100 else 1 if size > 5 else 2 if size > 0.5 else 3
    for x, (value, star) in bars.items():
        axes.annotate(
            f"{_written(value, decimals)}{'*' * star}", (x, 0), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=6, fontweight="bold",
            color="white" if value > 0.1 * (high - low) else INK, zorder=5,
        )  # fmt: skip


def _written(value: float, decimals: int) -> str:
    """Write a number; three digits have no place for a zero before the point."""
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if decimals > 2 else text


def _bar_error(rows: pd.DataFrame, values: np.ndarray, several: bool) -> np.ndarray | float | None:
    """Return SEM over subjects, or the bootstrap interval of a single subject and session."""
    if several:
        return sem(values)
    if len(rows) != 1 or not np.isfinite(rows["ci_low"].iloc[0]):
        return None
    value = values.mean()
    return np.array([[value - rows["ci_low"].iloc[0]], [rows["ci_high"].iloc[0] - value]])


def _subject_points(axes: Axes, wide: pd.DataFrame, places: dict[str, float]) -> None:
    """Draw each subject as a marker, joined over the variants by a thin line."""
    order = sorted(places, key=places.get)
    shift = np.linspace(-0.2, 0.2, len(wide)) if len(wide) > 1 else [0.0]
    for i, (subject, values) in enumerate(wide.iterrows()):
        x = [places[v] + shift[i] for v in order]
        axes.plot(x, values[order], color="#555555", lw=0.4, alpha=0.5, zorder=2)
        axes.plot(
            x, values[order], ls="none", marker=MARKERS[i % len(MARKERS)], ms=3.6, mfc="white",
            mec=INK, mew=0.7, zorder=3, label=f"sub-{subject}",
        )  # fmt: skip
