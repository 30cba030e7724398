"""Tables of the comparison: one row per metric, one row per paired difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mebold.compare import tasks
from mebold.compare.metrics import COUNTS, HEADLINES, METRICS, envelope
from mebold.compare.variant import VariantMetrics
from mebold.errors import ConfigError, DataError
from mebold.noiseceiling.bootstrap import METHODS, interval

HEAD = ["subject", "session", *tasks.COLUMNS]
LONG_COLUMNS = [*HEAD, "variant", "metric", "value", "ci_low", "ci_high", "unit"]
PAIRED_COLUMNS = [
    *HEAD, "variant", "reference", "metric", "difference", "ci_low", "ci_high", "method", "unit",
]  # fmt: skip


def comparison_table(
    results: Mapping[str, VariantMetrics],
    *,
    subject: str,
    session: str,
    task: str,
    acquisition: str = "n/a",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Make the long table: one row per variant and metric.

    The interval is the wider one, on each side, of the bootstraps over images and over runs;
    that of a noise ceiling is cut to its range of 0 to 100 percent.

    Parameters
    ----------
    results : mapping of str to VariantMetrics
        Variant -> metrics, in the order wanted.
    subject, session, task, acquisition : str
        Labels without prefix; session and acquisition ``n/a`` where there is none.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        Columns ``subject session task acquisition variant metric value ci_low ci_high unit``.
    """
    head = (subject, session, task, acquisition)
    rows = []
    for variant, result in results.items():
        for metric, value in result.values.items():
            low, high = envelope(
                [
                    interval(value, s[metric], confidence=confidence)
                    for s in result.samples.values()
                    if metric in s
                ]
            )
            if metric.startswith("noise_ceiling"):
                low, high = np.clip((low, high), 0, 100)
            unit = METRICS[metric][1]
            rows.append((*head, variant, metric, value, low, high, unit))
    return pd.DataFrame(rows, columns=LONG_COLUMNS)


def difference_table(
    results: Mapping[str, VariantMetrics],
    *,
    subject: str,
    session: str,
    task: str,
    acquisition: str = "n/a",
    references: Sequence[str],
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Make the table of paired differences: every variant minus each reference.

    Both variants are resampled with the same draws, so what images or runs share cancels. Of the
    metrics that a choice rests on (`mebold.compare.metrics.HEADLINES`) every pair is subtracted.

    Parameters
    ----------
    results : mapping of str to VariantMetrics
    subject, session, task, acquisition : str
    references : sequence of str
        Baseline and primary variant.
    confidence : float

    Returns
    -------
    DataFrame
        Columns ``subject session task acquisition variant reference metric difference ci_low
        ci_high method unit``; method is ``images``, ``runs``, or ``none`` for metrics without
        resamples (limits NaN).

    Raises
    ------
    ConfigError
        When a reference is not among the variants.
    DataError
        When two variants hold different trials or draws.
    """
    for reference in references:
        if reference not in results:
            raise ConfigError(
                f"reference variant {reference!r} is not compared; compared: {list(results)}"
            )
    rows = []
    for reference in dict.fromkeys([*references, *results]):
        wanted = [m for m in METRICS if m not in COUNTS]
        for variant in results:
            if variant != reference:
                head = (subject, session, task, acquisition, variant, reference)
                pair = results[variant], results[reference]
                metrics = wanted if reference in references else HEADLINES
                rows += [(*head, *row) for row in _paired_rows(*pair, metrics, confidence, head)]
    return pd.DataFrame(rows, columns=PAIRED_COLUMNS)


def compared_only(references: Sequence[str], results: Mapping[str, VariantMetrics]) -> list[str]:
    """Return the references that a session compares, in their order: it may lack a variant."""
    return [reference for reference in references if reference in results]


def _paired_rows(
    result: VariantMetrics,
    other: VariantMetrics,
    metrics: Sequence[str],
    confidence: float,
    head: tuple,
) -> list[tuple]:
    """Compute difference and intervals of one pair of variants."""
    if result.draws_key != other.draws_key:
        raise DataError(
            f"{head[-2]} and {head[-1]} were evaluated on different trials or resamples "
            f"(subject {head[0]}, session {head[1]}, task {head[2]}): their differences are not "
            "paired"
        )
    rows = []
    for metric, value in result.values.items():
        if metric not in other.values or metric not in metrics:
            continue
        difference = value - other.values[metric]
        unit = METRICS[metric][1]
        methods = [m for m in METHODS if metric in result.samples[m] and metric in other.samples[m]]
        for method in methods:
            samples = result.samples[method][metric] - other.samples[method][metric]
            limits = interval(difference, samples, confidence=confidence)
            rows.append((metric, difference, *limits, method, unit))
        if not methods:
            rows.append((metric, difference, float("nan"), float("nan"), "none", unit))
    return rows
