"""Figures of the variant comparison."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mebold.compare import price, tasks
from mebold.compare.advice import Advice
from mebold.compare.metrics import COUNTS, METRICS, envelope, ica_fallbacks
from mebold.compare.subjects import sem
from mebold.errors import DataError
from mebold.figures.bars import COLOURS, colour_of, draw_bars
from mebold.figures.style import INK, MARKERS, RED, WIDTH, footnote, new_figure, panel_letter, style
from mebold.variants import THERMAL, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _differences(
    axes: Axes, paired: pd.DataFrame, group: pd.DataFrame | None, rows: list, baseline: str
) -> None:
    """Draw differences against one reference: a row per variant, intervals within subjects."""
    from matplotlib.ticker import MaxNLocator

    subjects = list(dict.fromkeys(paired["subject"]))
    methods = [("images", "o", 1.0), ("runs", "s", 0.0)]
    for y, variant in enumerate(rows):
        own, colour = paired[paired["variant"] == variant], colour_of(variant)
        if own.empty:
            words = "baseline" if variant == baseline else "n/a"
            axes.text(1.02, y, words, transform=axes.get_yaxis_transform(), va="center",
                      fontsize=7, color="#666666")  # fmt: skip
            continue
        if len(own[["subject", "session"]].drop_duplicates()) == 1:
            for offset, (method, marker, filled) in zip((-0.14, 0.14), methods, strict=True):
                for row in own[own["method"] == method].itertuples():
                    _interval_point(axes, row, y + offset, marker, colour, bool(filled))
        else:
            _subject_differences(axes, own, y, subjects, colour)
        _difference_note(axes, y, variant, group)
    axes.axvline(0, color=INK, lw=0.8)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", lw=0.3, color="#CCCCCC")


def _price(
    axes: Axes, table: pd.DataFrame, metric: str, limit: float, rows: list, *, worse: int
) -> None:
    """Draw what each variant costs, and the limit beyond which the price is high."""
    from matplotlib.ticker import MaxNLocator

    part = table[(table["metric"] == metric) & table["value"].notna()]
    subjects = list(dict.fromkeys(table["subject"]))
    spread = np.linspace(-0.18, 0.18, len(subjects)) if len(subjects) > 1 else [0.0]
    means = price.averages(table, metric)
    for y, variant in enumerate(rows):
        if variant not in means:
            axes.text(0.5, y, "n/a", transform=axes.get_yaxis_transform(), ha="center",
                      va="center", fontsize=6.5, color="#666666")  # fmt: skip
            continue
        high = (means[variant] - limit) * worse > 0
        colour = RED if high else colour_of(variant)
        for i, subject in enumerate(subjects):
            own = part[(part["variant"] == variant) & (part["subject"] == subject)]["value"]
            if len(subjects) > 1 and len(own):
                axes.plot(own.mean(), y + spread[i], MARKERS[i % len(MARKERS)], ms=2.8, mfc="white",
                          mec="#777777", mew=0.6)  # fmt: skip
        axes.plot(means[variant], y, "D", ms=4.5, color=colour)
        # Beside its limit a whole number could be the limit itself.
        decimals = int(0 < abs(means[variant] - limit) < 1)
        axes.annotate(
            f"{means[variant]:.{decimals}f}", (means[variant], y), ha="center", va="bottom",
            xytext=(0, 10 if len(subjects) > 1 else 5), textcoords="offset points", fontsize=6.5,
            color=colour,
            fontweight="bold" if high else "normal",
        )  # fmt: skip
    if means.empty:
        axes.set_xticks([])
        return
    axes.axvline(limit, color=RED, lw=0.8, ls=(0, (3, 2)))
    axes.margins(x=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(2))
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
    text = f"{row['relative_percent']:+.0f} %" if np.isfinite(row["relative_percent"]) else ""
    if row["n"] > 1:
        text += f"\np = {row['p_holm']:.3g}"
    axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7)


def variant_comparison(
    table: pd.DataFrame,
    paired: pd.DataFrame,
    *,
    baseline: str,
    primary: str,
    advice: Advice,
    limits: Mapping[str, float],
    group: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> Figure:
    """Draw which variant the data support, by how much, how sure that is, and at what price.

    Parameters
    ----------
    table : DataFrame
        Long table (`mebold.compare.tables.comparison_table`) of one task, one or more subjects.
    paired : DataFrame
        Paired differences (`mebold.compare.tables.difference_table`).
    baseline, primary : str
        Reference of panel C; the configured primary variant, which is marked.
    advice : Advice
        `mebold.compare.advice.advise` of the same tables; it heads the figure.
    limits : mapping
        Limits of the price, keys as in `mebold.compare.price.LIMITS`, percent.
    group : DataFrame, optional
        `mebold.compare.subjects.group_table`; gives relative changes and p values in panel C.
    confidence : float
        Level of the intervals in the tables.

    Returns
    -------
    Figure
        A: predictivity of single trials (correlation). B: median noise ceiling in the ROI
        (percent). C: paired differences from the baseline of the predictivity; of the noise ceiling
        where predictivity was not measured. D: price against the undenoised variant.

    Raises
    ------
    DataError
        When the table lacks noise ceilings.
    """
    tasks.require_one(table)
    ceiling = table[table["metric"] == "noise_ceiling_median"]
    if ceiling.empty:
        raise DataError("the comparison table has no rows of noise_ceiling_median")
    predicted = table[table["metric"] == "predictivity_single"]
    measured = bool(predicted["value"].notna().any())
    metric = "predictivity_single" if measured else "noise_ceiling_median"
    wanted = paired[(paired["metric"] == metric) & (paired["reference"] == baseline)]
    if group is not None:
        group = group[(group["metric"] == metric) & (group["reference"] == baseline)]
    rows = list(dict.fromkeys(table["variant"]))
    marked = ica_fallbacks(table)
    n = table["subject"].nunique()
    note = _legend_text(table, n, confidence, group) + _fallback_text(marked)
    title = _headline(advice)
    foot = 0.10 + 0.132 * (note.count("\n") + 1)
    rows_height, head = 0.46 * len(rows), 0.34 + 0.15 * (title.count("\n") + 1)
    bottom = foot + 0.62
    height = bottom + rows_height + 0.45 + 2.55 + head
    with style():
        figure = new_figure(WIDTH, height)

        def place(left: float, low: float, width: float, tall: float) -> Axes:
            return figure.add_axes([left / WIDTH, low / height, width / WIDTH, tall / height])

        top = bottom + rows_height + 0.8
        a, b = place(0.62, top, 3.0, 2.0), place(4.35, top, 3.0, 2.0)
        c = place(1.52, bottom, 2.1, rows_height)
        prices = [place(4.62 + 0.95 * i, bottom, 0.78, rows_height) for i in range(3)]
        draw_bars(a, predicted, "Predictivity of single trials (r)", marked=marked)
        draw_bars(b, ceiling, "Median noise ceiling in ROI (%)", marked=marked)
        _differences(c, wanted, group, rows, baseline)
        what = "predictivity" if measured else "median noise ceiling (points)"
        c.set_xlabel(f"Difference in {what} from\n“{in_words(baseline)}”")
        for axes, (name, (key, larger_is_worse, _)) in zip(
            prices, price.LIMITS.items(), strict=True
        ):
            worse = 1 if larger_is_worse else -1
            _price(axes, table, name, limits[key], rows, worse=worse)
            axes.set_xlabel(PRICES[name], fontsize=7)
        for axes in (c, *prices):
            axes.set_ylim(len(rows) - 0.5, -0.6)
            axes.tick_params(axis="y", length=0)
            axes.set_yticks(range(len(rows)), [""] * len(rows))
        _row_names(c, rows, primary, advice)
        letters = ((a, "A", -36), (b, "B", -30), (c, "C", -100), (prices[0], "D", -12))
        for axes, letter, left in letters:
            panel_letter(axes, letter, left=left)
        figure.text(0.02, 1 - 0.06 / height, title, va="top", fontsize=8.5, fontweight="bold")
        _legends(figure, a, table, wanted, y=1 - (head - 0.26) / height)
        footnote(figure, note, y=0.06 / height)
    return figure


#: Labels of the price panels.
PRICES = {
    "signal_kept": "response\nkept (%)",
    "smoothness_growth": "smoothness\nadded (%)",
    "responsive_kept": "responsive\nvoxels kept (%)",
}


def _headline(advice: Advice) -> str:
    """Say in a line what the data support."""
    if advice.supported is None:
        return textwrap.fill(f"These data support no variant: {advice.reason}", 92)
    price_words = " at a high price (D)"
    name = in_words(advice.supported) + price_words * (advice.supported in advice.warnings)
    if advice.verdict == "supported":
        text = f"These data support: {name}"
    else:
        text = f"Not distinguishable: {len(advice.as_good)} variants. Simplest: {name}"
    if advice.primary not in advice.values:
        state = "the configured primary was not compared"
    elif advice.primary == advice.supported:
        state = "the configured primary"
    elif advice.change:
        state = f"not the configured primary ({in_words(advice.primary)})"
    else:
        state = "the configured primary is one of them"
        state += "," * (advice.primary in advice.warnings)
        state += price_words * (advice.primary in advice.warnings)
    return textwrap.fill(f"{text}; {state}", 92)


def _row_names(axes: Axes, rows: list[str], primary: str, advice: Advice) -> None:
    """Name the rows, the supported variant in bold and the primary one marked."""
    words = [in_words(v).replace(", ", ",\n", 1) + "\n(primary)" * (v == primary) for v in rows]
    axes.set_yticks(range(len(rows)), words)
    for label, variant in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontsize(7)
        if variant == advice.supported:
            label.set_fontweight("bold")


def _legends(
    figure: Figure, axes: Axes, table: pd.DataFrame, wanted: pd.DataFrame, *, y: float = 1.0
) -> None:
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
        columnspacing=1.2, bbox_to_anchor=(0.53, y),
    )  # fmt: skip


def _legend_text(table: pd.DataFrame, n: int, confidence: float, group: pd.DataFrame | None) -> str:
    """Say what bars, points and intervals mean, and n."""
    level = f"{100 * confidence:g} %"
    sessions = table[["subject", "session"]].drop_duplicates()
    what = (
        "A: correlation of betas with those of an undenoised variant in other runs, which noise, "
        "smoothing and leakage cannot raise."
    )
    price_words = (
        "D: against the undenoised variant of the same echoes; dashed: limit of the configuration, "
        "red: beyond it."
    )
    if n == 1:
        name = f"sub-{sessions['subject'].iloc[0]}"
        return "\n".join([
            f"n = 1 subject ({name}, {len(sessions)} session{'s' * (len(sessions) > 1)}); "
            "one visually responsive ROI for all variants.",
            what,
            "A, B: bars are the subject's values, error bars the wider of two "
            f"{level} bootstrap intervals (over images, over runs).",
            f"C: both variants resampled together; {level} bootstrap intervals over images and "
            "over runs.",
            price_words,
        ])  # fmt: skip
    tested = group is not None and len(group)
    floor = group["p_holm_floor"].max() if tested else 2.0 ** (1 - n)
    return "\n".join([
        f"n = {n} subjects, {len(sessions)} sessions; "
        "one visually responsive ROI per subject for all variants.",
        what,
        "A, B: bars are means, error bars ± SEM over subjects; markers joined by lines are "
        "subjects.",
        f"C: markers are subjects with the wider of two {level} bootstrap intervals "
        "(over images, over runs); diamonds are mean ± SEM;",
        "p from the exact two-sided sign-flip test, Holm-corrected over variants, which cannot go "
        f"below {floor:.3g} with {n} subjects.",
        price_words,
    ])  # fmt: skip


def _fallback_text(marked: Mapping[str, int]) -> str:
    """Say which variants hold runs without ICA, as one more line; empty when there are none."""
    runs = ", ".join(f"{in_words(v)}: {n} run{'s' * (n > 1)}" for v, n in marked.items())
    return f"\n* ICA was not used, the optimal combination stands in ({runs})." if marked else ""


#: Metrics of `variant_comparison`.
DRAWN = ("predictivity_single", "noise_ceiling_median", *price.LIMITS)


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
        if m not in (*DRAWN, "ica_fallback_runs", *COUNTS)
        and table["value"][table["metric"] == m].notna().any()
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
