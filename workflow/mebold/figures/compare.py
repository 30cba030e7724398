"""Figures of the variant comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mebold.compare.metrics import COUNTS, METRICS, envelope, ica_fallbacks
from mebold.compare.subjects import sem
from mebold.errors import DataError
from mebold.figures.bars import COLOURS, colour_of, draw_bars
from mebold.figures.style import INK, MARKERS, WIDTH, footnote, new_figure, panel_letter, style
from mebold.variants import THERMAL, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _differences(axes: Axes, paired: pd.DataFrame, group: pd.DataFrame | None) -> None:
    """Draw differences against one reference: a row per variant, intervals within subjects."""
    variants = list(dict.fromkeys(paired["variant"]))
    subjects = list(dict.fromkeys(paired["subject"]))
    methods = [("images", "o", 1.0), ("runs", "s", 0.0)]
    for y, variant in enumerate(variants):
        rows, colour = paired[paired["variant"] == variant], colour_of(variant)
        if len(rows[["subject", "session"]].drop_duplicates()) == 1:
            for offset, (method, marker, filled) in zip((-0.14, 0.14), methods, strict=True):
                for row in rows[rows["method"] == method].itertuples():
                    _interval_point(axes, row, y + offset, marker, colour, bool(filled))
        else:
            _subject_differences(axes, rows, y, subjects, colour)
        _difference_note(axes, y, variant, group)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_ylim(len(variants) - 0.5, -0.6)
    axes.set_yticks(range(len(variants)), [in_words(v) for v in variants])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", lw=0.3, color="#CCCCCC")


def _interval_point(
    axes: Axes, row: tuple, y: float, marker: str, colour: str, filled: bool
) -> None:
    """Draw one difference with its interval."""
    limits = [[row.difference - row.ci_low], [row.ci_high - row.difference]]
    limits = None if not np.isfinite(limits).all() else limits
    axes.errorbar(
        row.difference, y, xerr=limits, fmt=marker, ms=4.5, color=colour, elinewidth=1.2,
        capsize=2, mfc=colour if filled else "white", mec=colour,
    )  # fmt: skip


def _subject_differences(
    axes: Axes, rows: pd.DataFrame, y: float, subjects: list[str], colour: str
) -> None:
    """Draw the subjects with the wider of their intervals, and the mean as a diamond."""
    spread = np.linspace(-0.26, 0.2, max(len(subjects), 2))
    means = []
    for i, subject in enumerate(subjects):
        own = rows[rows["subject"] == subject]
        if own.empty:
            continue
        value = own.groupby("session")["difference"].first().mean()
        means.append(value)
        if own["session"].nunique() == 1:
            low, high = envelope(list(zip(own["ci_low"], own["ci_high"], strict=True)))
            axes.plot([low, high], [y + spread[i]] * 2, color=colour, lw=0.9, alpha=0.7)
        axes.plot(
            value, y + spread[i], MARKERS[i % len(MARKERS)], ms=3.4, mfc="white", mec=INK, mew=0.7
        )
    axes.plot(np.mean(means), y + 0.33, "D", ms=4.5, color=colour)
    axes.plot(np.mean(means) + np.array([-1, 1]) * sem(means), [y + 0.33] * 2, color=colour, lw=1.6)


def _difference_note(axes: Axes, y: float, variant: str, group: pd.DataFrame | None) -> None:
    """Write the relative change and the p value at the right."""
    if group is None:
        return
    row = group[group["variant"] == variant]
    if row.empty:
        return
    row = row.iloc[0]
    text = f"{row['relative_percent']:+.0f} %"
    if row["n"] > 1:
        text += f",  p = {row['p']:.3g}"
    axes.text(1.01, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7)


def variant_comparison(
    table: pd.DataFrame,
    paired: pd.DataFrame,
    *,
    baseline: str,
    group: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> Figure:
    """Draw the comparison of variants: noise ceiling, d-prime, and differences from the baseline.

    Parameters
    ----------
    table : DataFrame
        Long table (``compare_tables.comparison_table``), one or more subjects.
    paired : DataFrame
        Paired differences (``compare_tables.difference_table``).
    baseline : str
        Reference of panel C.
    group : DataFrame, optional
        ``compare_stats.group_table``; gives relative changes and p values in panel C.
    confidence : float
        Level of the intervals in the tables.

    Returns
    -------
    Figure
        A: median noise ceiling in the ROI (percent). B: d-prime. C: paired differences of the
        median noise ceiling from the baseline (percentage points).

    Raises
    ------
    DataError
        When the table lacks noise ceilings.
    """
    ceiling = table[table["metric"] == "noise_ceiling_median"]
    if ceiling.empty:
        raise DataError("the comparison table has no rows of noise_ceiling_median")
    n = table["subject"].nunique()
    wanted = paired[
        (paired["metric"] == "noise_ceiling_median") & (paired["reference"] == baseline)
    ]
    if group is not None:
        group = group[
            (group["metric"] == "noise_ceiling_median") & (group["reference"] == baseline)
        ]
    rows = max(wanted["variant"].nunique(), 1)
    marked = ica_fallbacks(table)
    foot = 0.74 + 0.15 * bool(marked)
    height = 3.2 + 0.42 * rows + 0.55 + foot
    with style():
        figure = new_figure(WIDTH, height)
        top = [(height - 2.83) / height, 2.35 / height]
        a = figure.add_axes([0.08, top[0], 0.40, top[1]])
        b = figure.add_axes([0.58, top[0], 0.40, top[1]])
        c = figure.add_axes([0.27, (foot + 0.42) / height, 0.56, 0.42 * rows / height])
        draw_bars(a, ceiling, "Median noise ceiling in ROI (%)", marked=marked)
        dprime = table[table["metric"] == "dprime"]
        draw_bars(b, dprime, "d-prime, ROI against rest of brain", marked=marked)
        if wanted.empty:
            c.set_visible(False)
        else:
            _differences(c, wanted, group)
        c.set_xlabel(
            f"Difference in median noise ceiling from “{in_words(baseline)}” (percentage points)"
        )
        for axes, letter, left in ((a, "A", -26), (b, "B", -26), (c, "C", -128)):
            panel_letter(axes, letter, left=left)

        _legends(figure, a, table, wanted)
        note = _legend_text(table, n, confidence) + _fallback_text(marked)
        footnote(figure, note, y=0.06 / height)
    return figure


def _legends(figure: Figure, axes: Axes, table: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Explain the colours shown, subjects and interval markers at the top."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=COLOURS[level], alpha=0.75, label=label)
        for level, label in THERMAL.items()
        if table["variant"].str.startswith(level).any()
    ]
    if table["subject"].nunique() > 1:
        handles += axes.get_legend_handles_labels()[0][: len(MARKERS)]
    elif not wanted.empty:
        handles += [
            Line2D([], [], marker=m, ls="none", color=INK, mfc=f, label=t)
            for m, f, t in (("o", INK, "C: over images"), ("s", "white", "C: over runs"))
        ]
    figure.legend(
        handles=handles, loc="upper center", ncols=max(len(handles), 1), handletextpad=0.4,
        columnspacing=1.2, bbox_to_anchor=(0.53, 1.0),
    )  # fmt: skip


def _legend_text(table: pd.DataFrame, n: int, confidence: float) -> str:
    """Say what bars, points and intervals mean, and n."""
    level = f"{100 * confidence:g} %"
    sessions = table[["subject", "session"]].drop_duplicates()
    if n == 1:
        name = f"sub-{sessions['subject'].iloc[0]}"
        lines = [
            f"n = 1 subject ({name}, {len(sessions)} session{'s' * (len(sessions) > 1)}); "
            "one visually responsive ROI for all variants.",
            "A, B: bars are the subject's values, error bars the wider of two "
            f"{level} bootstrap intervals (over images, over runs).",
            "C: every variant minus the baseline, both resampled together; "
            f"{level} bootstrap intervals over images and over runs.",
        ]
    else:
        lines = [
            f"n = {n} subjects, {len(sessions)} sessions; "
            "one visually responsive ROI per subject for all variants.",
            "A, B: bars are means, error bars ± SEM over subjects; markers joined by lines are "
            "subjects.",
            f"C: markers are subjects with the wider of two {level} bootstrap intervals "
            "(over images, over runs); diamonds are",
            "mean ± SEM; p from the exact two-sided sign-flip test, which cannot go below "
            f"{2.0 ** (1 - n):.3g} with {n} subjects.",
        ]
    return "\n".join(lines)


def _fallback_text(marked: Mapping[str, int]) -> str:
    """Say which variants hold runs without ICA, as one more line; empty when there are none."""
    runs = ", ".join(f"{in_words(v)}: {n} run{'s' * (n > 1)}" for v, n in marked.items())
    return f"\n* ICA was not used, the optimal combination stands in ({runs})." if marked else ""


def variant_metrics(table: pd.DataFrame, *, confidence: float = 0.95) -> Figure:
    """Draw the other metrics of the variants: what else changed with the noise ceiling.

    Parameters
    ----------
    table : DataFrame
        Long table of one or more subjects.
    confidence : float
        Level of the intervals in the table.

    Returns
    -------
    Figure
        One panel per metric that the table holds, except those of :func:`variant_comparison`.
    """
    shown = [
        m
        for m in METRICS
        if m not in ("noise_ceiling_median", "dprime", "ica_fallback_runs", *COUNTS)
        and (table["metric"] == m).any()
    ]
    if not shown:
        raise DataError("the comparison table holds no further metrics to draw")
    units = {"percent": "%", "mm": "mm", "count": "number", "1": ""}
    n_rows = -(-len(shown) // 3)
    n = table["subject"].nunique()
    marked = ica_fallbacks(table)
    with style():
        figure = new_figure(WIDTH, 2.3 * n_rows + 0.55, layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93 - 0.06))
        panels = figure.subplots(n_rows, 3, squeeze=False).ravel()
        for axes, metric in zip(panels, shown, strict=False):
            label, unit = METRICS[metric]
            draw_bars(axes, table[table["metric"] == metric], "", marked=marked)
            axes.set_title(label.replace(", ", ",\n", 1), fontsize=7.5)
            axes.set_ylabel(units.get(unit, unit))
            axes.tick_params(axis="x", labelsize=6.5)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        _legends(figure, panels[0], table, table[:0])
        what = (
            f"n = {n} subjects: mean ± SEM, subjects as markers."
            if n > 1
            else "n = 1 subject; error bars: wider of two bootstrap intervals "
            f"({100 * confidence:g} %, over images and over runs)."
        )
        footnote(figure, what + _fallback_text(marked))
    return figure
