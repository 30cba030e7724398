"""Which variant the data support, whether the configured primary is that one, and how sure.

The predictivity of single trials decides, because nothing but the responses to images can raise it.
Where it cannot tell variants apart, their price does (`mebold.compare.price`), and then simplicity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import pandas as pd

from mebold.compare import price, tasks
from mebold.compare.metrics import envelope

METRIC = "predictivity_single"
#: From the simplest on: the fewer steps depend on the data, the earlier; ICA draws random numbers
#: and costs most.
SIMPLEST_FIRST = (
    *("standardSingle", "standardOptcom", "nordicSingle", "nordicOptcom"),
    *("standardIca", "nordicIca"),
)


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Advice:
    """What the comparison of one task supports.

    Attributes
    ----------
    verdict : str
        ``supported``: one variant is clearly best. ``not distinguishable``: several are as good as
        the best. ``no repeating response``: not even the best foretells other runs. ``unknown``:
        predictivity was not measured.
    best : str or None
        Variant of the highest predictivity.
    as_good : list of str
        Variants that are not distinguishable from the best, itself included; simplest first.
    supported : str or None
        The variant to use: of those as good as the best, without warnings if possible, the
        simplest.
    primary : str
        The configured primary variant.
    change : dict of str to str
        What to change in the configuration; empty where nothing is to be.
    over_primary : Estimate or None
        Predictivity of `supported` minus that of the primary; corrected for the choice.
    against_best : dict of str to Estimate
        Predictivity of each other variant minus that of the best; corrected for the choice.
    values : dict of str to float
        Predictivity of each variant.
    warnings : dict of str to list of str
        Variants beyond a limit of their price, see `mebold.compare.price.warnings`.
    reason : str
        Why there is no advice; empty otherwise.
    """

    verdict: str
    primary: str
    best: str | None = None
    as_good: list[str] = field(default_factory=list)
    supported: str | None = None
    change: dict[str, str] = field(default_factory=dict)
    over_primary: Estimate | None = None
    against_best: dict[str, Estimate] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    reason: str = ""


def advise(
    table: pd.DataFrame,
    paired: pd.DataFrame,
    *,
    primary: str,
    limits: Mapping[str, float],
    confidence: float = 0.95,
) -> Advice:
    """Find the variant that the data of one task support.

    A variant is as good as the best where the interval of their difference holds 0. The best was
    chosen by the same data, so the intervals are corrected for the number of other variants
    (Bonferroni). With several subjects or sessions the interval rests on the bootstrap within them
    or on the scatter between subjects, whichever is wider.

    Parameters
    ----------
    table, paired : DataFrame
        Long table and paired differences of one task, all subjects and sessions.
    primary : str
        The configured primary variant.
    limits : mapping
        Limits of the price, see `mebold.compare.price.warnings`.
    confidence : float
        Level of the intervals in the tables, and of those made here.

    Returns
    -------
    Advice
    """
    tasks.require_one(table)
    warnings = price.warnings(table, limits)
    values = price.averages(table, METRIC)
    known = {"primary": primary, "values": values.to_dict(), "warnings": warnings}
    if values.empty:
        return Advice("unknown", reason=_reason(table), **known)
    best, n_others = str(values.idxmax()), max(len(values) - 1, 1)
    rows = table[(table["metric"] == METRIC) & (table["variant"] == best)]
    own = combined(rows.rename(columns={"value": "difference"}), confidence, len(values))
    if not own.low > 0:
        reason = (
            f"not even {best} foretells the responses of other runs (predictivity "
            f"{own.value:.3f}, interval {own.low:.3f} to {own.high:.3f})"
        )
        return Advice("no repeating response", best=best, reason=reason, **known)
    pairs = paired[paired["metric"] == METRIC]
    against = {
        str(variant): combined(part, confidence, n_others)
        for variant, part in pairs[pairs["reference"] == best].groupby("variant", sort=False)
    }
    equal = [best, *(variant for variant, found in against.items() if not found.high < 0)]
    equal = [v for v in SIMPLEST_FIRST if v in equal] + [
        v for v in equal if v not in SIMPLEST_FIRST
    ]
    supported = ([v for v in equal if v not in warnings] or equal)[0]
    # A primary that nothing beats is kept, unless it costs more than allowed and is not the best.
    keep = primary in equal and (primary in (best, supported) or primary not in warnings)
    over = pairs[(pairs["variant"] == supported) & (pairs["reference"] == primary)]
    return Advice(
        "supported" if len(equal) == 1 else "not distinguishable",
        best=best,
        as_good=equal,
        supported=supported,
        change={} if keep else {"primary_variant": supported},
        over_primary=None if over.empty else combined(over, confidence, n_others),
        against_best=against,
        **known,
    )


def combined(rows: pd.DataFrame, confidence: float, n_tests: int = 1) -> Estimate:
    """Average a value over the sessions of each subject, and over subjects, with its interval.

    Parameters
    ----------
    rows : DataFrame
        Columns ``subject session difference ci_low ci_high``, of one pair of variants (several rows
        per session for several bootstraps, of which the wider counts).
    confidence : float
        Level of the intervals in the rows, and of the result before correction.
    n_tests : int
        Number of comparisons to correct for.

    Returns
    -------
    Estimate
        NaN limits where a session has no interval.
    """
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    means, errors = [], []
    for _, subject in rows.groupby("subject", sort=False):
        sessions = []
        for _, part in subject.groupby("session", sort=False, dropna=False):
            low, high = envelope(list(zip(part["ci_low"], part["ci_high"], strict=True)))
            sessions.append((part["difference"].iloc[0], (high - low) / 2 / quantile))
        value, error = np.transpose(sessions)
        means.append(value.mean())
        errors.append(np.sqrt((error**2).sum()) / len(error))
    within = np.sqrt(np.square(errors).sum()) / len(errors)
    between = np.std(means, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    error = np.maximum(within, between)
    half = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / n_tests) * error
    value = float(np.mean(means))
    return Estimate(value, float(value - half), float(value + half))


def _reason(table: pd.DataFrame) -> str:
    """Say why predictivity was not measured."""
    compared = list(dict.fromkeys(table["variant"]))
    voxels = table[table["metric"] == "voxels_roi"]["value"]
    if price.reference_of(compared) is None:
        wanted = " or ".join(price.REFERENCES)
        return f"no undenoised variant to predict is compared: add {wanted} to `variants`"
    if len(voxels) and not voxels.any():
        return "the region of the comparison has no voxel"
    return "no image is shown in two runs of a session"


def sentences(advice: Advice, *, confidence: float = 0.95) -> list[str]:
    """Put an advice into words, what to do first."""
    if advice.supported is None:
        return [f"These data support no variant: {advice.reason}."]
    level, supported, primary = f"{100 * confidence:g} %", advice.supported, advice.primary
    if advice.verdict == "supported":
        words = [f"These data support {supported}: its betas foretell other runs best."]
    else:
        simplest = "the simplest of them"
        if supported != advice.as_good[0]:
            simplest += " within the limits of the price"
        words = [
            f"These data do not tell {_listed(advice.as_good)} apart; {supported} is {simplest}."
        ]
    if primary not in advice.values:
        words.append(f"The configured primary variant {primary} is not among those compared.")
    elif not advice.change:
        found = "that one" if primary == supported else f"one of them ({primary})"
        words.append(f"The configured primary variant is {found}: nothing needs to change.")
    elif advice.over_primary is not None:
        words.append(
            f"The configured primary variant is another, {primary}; {supported} differs from it "
            f"by {_signed(advice.over_primary, level)} in predictivity."
        )
    if advice.change:
        words += [f"Set `{key}: {value}`." for key, value in advice.change.items()]
    rivals = {v: e for v, e in advice.against_best.items() if v not in advice.as_good}
    if advice.verdict == "supported" and rivals:
        rival = max(rivals, key=lambda v: rivals[v].value)
        if not (advice.change and rival == primary):
            words.append(f"The next, {rival}, differs by {_signed(rivals[rival], level)}.")
        words.append(f"Intervals are corrected for the choice among {len(advice.values)} variants.")
    used = dict.fromkeys([supported] if advice.change else [supported, primary])
    for variant in [v for v in used if v in advice.values]:
        price_of = advice.warnings.get(variant, [])
        if price_of:
            words.append(f"At a price: {variant} {'; '.join(price_of)}.")
        else:
            words.append(f"{variant} is within the limits of the price.")
    return words


def _signed(found: Estimate, level: str) -> str:
    """Write an estimate with its interval."""
    return f"{found.value:+.3f} ({level} interval {found.low:+.3f} to {found.high:+.3f})"


def _listed(names: Sequence[str]) -> str:
    """Join names with commas and a last "and"."""
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def record(advice: Advice, *, task: str, confidence: float = 0.95) -> dict:
    """Return an advice as the content of a JSON file."""
    over = advice.over_primary
    return {
        "Task": task,
        "Description": " ".join(sentences(advice, confidence=confidence)),
        "Verdict": advice.verdict,
        "Metric": METRIC,
        "Predictivity": advice.values,
        "Best": advice.best,
        "AsGoodAsBest": advice.as_good,
        "Supported": advice.supported,
        "Primary": advice.primary,
        "Change": advice.change,
        "Confidence": confidence,
        "SupportedMinusPrimary": None if over is None else _plain(over),
        "MinusBest": {variant: _plain(found) for variant, found in advice.against_best.items()},
        "Warnings": advice.warnings,
    }


def _plain(found: Estimate) -> dict:
    """Return an estimate for JSON."""
    return {"Value": found.value, "Interval": [found.low, found.high]}
