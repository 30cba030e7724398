"""The result of the comparison in plain words, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from mebold.compare import price, tasks
from mebold.compare.advice import Advice, sentences
from mebold.compare.metrics import ica_fallbacks
from mebold.errors import DataError

CEILING, PREDICTIVITY = "noise_ceiling_median", "predictivity_single"
#: How differences are written, and their unit.
FORMATS = {CEILING: ("{:+.1f}", " points"), PREDICTIVITY: ("{:+.3f}", "")}
#: Noise ceiling (percent) below which differences are not given as a share of it.
_LEAST_FOR_SHARES = 5.0
#: Metrics whose change from baseline to primary is told.
CHANGES = {
    "tsnr_median_roi": ("tSNR in the ROI", "{:.0f}", ""),
    "smoothness_fwhm": ("smoothness", "{:.2f}", " mm"),
    "percent_signal_change": ("response to images", "{:.2f}", " %"),
    "glmdenoise_components": ("GLMdenoise components", "{:.1f}", ""),
}


def describe(
    table: pd.DataFrame,
    paired: pd.DataFrame,
    *,
    baseline: str,
    primary: str,
    advice: Advice,
    group: pd.DataFrame | None = None,
    fallbacks: Sequence[str] = (),
    confidence: float = 0.95,
) -> str:
    """Say which variant the data support, at what price, which was best, and how sure that is.

    Parameters
    ----------
    table : DataFrame
        Long table of all subjects and sessions, one task (`mebold.compare.tasks`).
    paired : DataFrame
        Paired differences, all pairs of variants.
    baseline, primary : str
        Variants.
    advice : Advice
        From `mebold.compare.advice.advise` with the same tables.
    group : DataFrame, optional
        Table over subjects; used with two subjects or more.
    fallbacks : sequence of str
        From `instead`: where the region is not the visually responsive voxels.
    confidence : float
        Level of the intervals in the tables.

    Returns
    -------
    str
        Paragraphs of Markdown. A difference counts as clear only when the bootstrap over images
        *and* the one over runs leave out 0; where the best variant is one of the two, which these
        data chose, intervals and p values are corrected for the number of variants.

    Raises
    ------
    DataError
        When the table holds no noise ceilings.
    """
    tasks.require_one(table)
    if not (table["metric"] == CEILING).any():
        raise DataError(f"the comparison table has no rows of {CEILING}")
    numbers = Numbers(table, paired, baseline, primary, group, confidence)
    paragraphs = {
        "Advice": sentences(advice, confidence=confidence),
        "Predictivity": _predictivity(numbers),
        "Noise ceiling": _ceiling(numbers),
        "Price": _price(table, baseline, primary, advice),
        "What was compared": [*_compared(table), *fallbacks],
    }
    return "\n\n".join(
        f"**{title}.** {' '.join(words)}" for title, words in paragraphs.items() if words
    )


@dataclass(frozen=True)
class Numbers:
    """The tables of one task, and what is asked of all of them."""

    table: pd.DataFrame
    paired: pd.DataFrame
    baseline: str
    primary: str
    group: pd.DataFrame | None
    confidence: float

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return self.table["subject"].nunique()

    @property
    def level(self) -> str:
        """Level of the intervals in words."""
        return f"{100 * self.confidence:g} %"

    def mean(self, metric: str) -> pd.Series:
        """Return a metric of every variant that has it, in the order of the table."""
        return price.averages(self.table, metric)


def _predictivity(numbers: Numbers) -> list[str]:
    """State the predictivity of single trials, and what it amounts to."""
    mean = numbers.mean(PREDICTIVITY)
    if mean.empty:
        return []
    reference = price.reference_of(list(numbers.table["variant"]))
    listed = ", ".join(
        f"{variant} {mean[variant]:.3f}" for variant in mean.sort_values().index[::-1]
    )
    words = [
        f"Correlation of single-trial betas with those of {reference} in other runs, mean over the "
        f"middle half of the visually responsive voxels: {listed}."
    ]
    own = mean.get(reference, np.nan)
    best = mean.idxmax()
    if own > 0:
        compared = f", those of {reference} by {np.sqrt(own):.2f}" if best != reference else ""
        words.append(
            f"Allowing for the noise of {reference} (reliability {own:.3f}), single-trial betas of "
            f"{best} correlate with the true responses by about {mean[best] / np.sqrt(own):.2f}"
            f"{compared}."
        )
    pairs = _wanted_pairs(mean, numbers.baseline, numbers.primary)
    return words + _pairs(numbers, PREDICTIVITY, mean, pairs, best)


def _ceiling(numbers: Numbers) -> list[str]:
    """State the noise ceilings, which compare a variant with itself."""
    table, n = numbers.table, numbers.n_subjects
    mean = numbers.mean(CEILING)
    if mean.empty:
        return ["The region of the comparison has no voxel, so that no noise ceiling is known."]
    best, worst = mean.idxmax(), mean.idxmin()
    second = mean.drop(best).idxmax() if len(mean) > 2 else None
    who = f"subject {table['subject'].iloc[0]}" if n == 1 else f"{n} subjects (means over subjects)"
    words = [
        f"{len(mean)} variant{'s' * (len(mean) > 1)} compared in {who}. The highest median noise "
        f"ceiling in the visually responsive voxels was that of {best}, {mean[best]:.1f} %"
        + (f"; the next that of {second}, {mean[second]:.1f} %" if second else "")
        + f"; the lowest that of {worst}, {mean[worst]:.1f} %. It compares a variant with itself, "
        "and can rise where signal is lost."
    ]
    part = table[(table["metric"] == CEILING) & (table["variant"] == best)]
    if n == 1 and len(part) == 1:
        row = part.iloc[0]
        words.append(
            f"The {numbers.level} interval of {best} is {row['ci_low']:.1f} to "
            f"{row['ci_high']:.1f} %."
        )
    pairs = _wanted_pairs(mean, numbers.baseline, numbers.primary)
    return words + _pairs(numbers, CEILING, mean, pairs, best)


def _pairs(
    numbers: Numbers, metric: str, mean: pd.Series, pairs: list[tuple[str, str]], best: str
) -> list[str]:
    """State the differences of pairs, and the tests across subjects."""
    words = [_pair_sentence(numbers, metric, mean, *pair, best) for pair in pairs]
    return words + _group_sentences(numbers, metric, pairs, best)


def _wanted_pairs(mean: pd.Series, baseline: str, primary: str) -> list[tuple[str, str]]:
    """List the pairs to speak of: primary and best against the baseline, best against primary.

    Where the primary is best, the next one against it: its lead may be none.
    """
    best = mean.idxmax()
    second = mean.drop(best).idxmax() if len(mean) > 2 else None
    pairs = [(primary, baseline), (best, baseline), (best, primary)]
    if best == primary and second not in (None, baseline):
        pairs.append((second, primary))
    return [p for p in dict.fromkeys(pairs) if p[0] != p[1] and p[0] in mean and p[1] in mean]


def _pair_sentence(
    numbers: Numbers, metric: str, mean: pd.Series, variant: str, reference: str, best: str
) -> str:
    """State one difference with its intervals and how sure it is."""
    pattern, unit = FORMATS[metric]
    difference = mean[variant] - mean[reference]
    # Of a value near 0 a share means little; a predictivity may always be.
    known = metric == CEILING and mean[reference] >= _LEAST_FOR_SHARES
    relative = f" ({100 * difference / mean[reference]:+.0f} %)" if known else ""
    text = f"{variant} differs from {reference} by {pattern.format(difference)}{unit}{relative}"
    rows = numbers.paired[
        (numbers.paired["metric"] == metric)
        & (numbers.paired["variant"] == variant)
        & (numbers.paired["reference"] == reference)
        & numbers.paired["ci_low"].notna()
    ]
    sessions = rows[["subject", "session"]].drop_duplicates()
    if len(sessions) == 0:
        return f"{text}, without an interval."
    # The data chose the best variant, so that its lead is partly luck.
    n_tests = len(mean) - 1 if best in (variant, reference) else 1
    chosen = f" corrected for {n_tests} comparisons" if n_tests > 1 else ""
    wider = _widening(numbers.confidence, n_tests)
    low, high = (
        rows["difference"] + (rows[end] - rows["difference"]) * wider
        for end in ("ci_low", "ci_high")
    )
    clear = (low > 0) | (high < 0)
    if len(sessions) == 1:
        limits = " and ".join(
            f"{pattern.format(a)} to {pattern.format(b)} over {method}"
            for a, b, method in zip(low, high, rows["method"], strict=True)
        )
        verdict = "clearly different" if clear.all() else "not distinguishable: an interval holds 0"
        return f"{text}; {numbers.level} interval{chosen} {limits}: {verdict}."
    by_session = [rows["subject"], rows["session"].fillna("n/a")]
    up = (low > 0).groupby(by_session).all().sum()
    down = (high < 0).groupby(by_session).all().sum()
    return (
        f"{text}; by the bootstrap within subjects it is clearly higher in {up} and clearly lower "
        f"in {down} of {len(sessions)} subject sessions ({numbers.level} intervals{chosen} over "
        "images and runs)."
    )


def _widening(confidence: float, n_tests: int) -> float:
    """Return by how much an interval widens when it holds for several comparisons together."""
    quantile = NormalDist().inv_cdf
    return quantile(1 - (1 - confidence) / 2 / n_tests) / quantile((1 + confidence) / 2)


def _group_sentences(
    numbers: Numbers, metric: str, pairs: list[tuple[str, str]], best: str
) -> list[str]:
    """State the tests across subjects with their floor."""
    if numbers.n_subjects < 2:
        return ["With one subject nothing is tested across subjects."] if metric == CEILING else []
    if numbers.group is None:
        return []
    pattern, unit = FORMATS[metric]
    rows = numbers.group[numbers.group["metric"] == metric].set_index(["variant", "reference"])
    words = []
    for variant, reference in pairs:
        if (variant, reference) not in rows.index:
            continue
        row = rows.loc[variant, reference]
        chosen = bool(best in (variant, reference) and row["p_holm"] > row["p"])
        p, floor = row[["p_holm", "p_holm_floor"] if chosen else ["p", "p_floor"]]
        least = f" ({int(row['n'])} subjects cannot give less than {floor:.3g})"
        words.append(
            f"Across subjects {variant} is higher than {reference} in {int(row['n_positive'])} of "
            f"{int(row['n'])} (difference {pattern.format(row['mean_difference'])} ± "
            f"{pattern.format(row['sem_difference']).lstrip('+')}{unit}, mean ± SEM); exact "
            f"two-sided sign-flip {'Holm-corrected ' * chosen}p = {p:.3g}{least}."
        )
    return words


def _price(table: pd.DataFrame, baseline: str, primary: str, advice: Advice) -> list[str]:
    """Say what else changed from baseline to primary, and which variants are beyond a limit."""
    words = [f"{variant} {'; '.join(found)}." for variant, found in advice.warnings.items()]
    wide = table.pivot_table(index="metric", columns="variant", values="value", aggfunc="mean")
    if baseline != primary and baseline in wide and primary in wide:
        parts = []
        for metric, (label, pattern, unit) in CHANGES.items():
            if metric in wide.index and wide.loc[metric, [baseline, primary]].notna().all():
                a, b = (pattern.format(wide.loc[metric, v]) for v in (baseline, primary))
                parts.append(f"{label} {a} -> {b}{unit}")
        if parts:
            words.append(f"From {baseline} to {primary}: {', '.join(parts)}.")
    return words


def instead(regions: Iterable[Mapping]) -> list[str]:
    """Say of which sessions the region is not what was asked for, and how often.

    Parameters
    ----------
    regions : iterable of mapping
        Sidecars of the regions, with ``RegionFallback`` (empty where there is none).
    """
    found = Counter(region.get("RegionFallback") or "" for region in regions)
    del found[""]
    return [
        f"In {count} session{'s' * (count > 1)} the region is not that of visual responses: {why}."
        for why, count in found.items()
    ]


def _compared(table: pd.DataFrame) -> list[str]:
    """Say in how many voxels, and what was not what its name says."""
    words = []
    counts = table[table["metric"].isin(["voxels_roi", "voxels_brain"])]
    if not counts.empty:
        by_session = counts.groupby(["metric", "subject", "session"], dropna=False)["value"].first()
        least = by_session.groupby(level="metric").agg(["min", "max"])
        roi, brain = (
            _range(least.loc[m]) for m in ("voxels_roi", "voxels_brain") if m in least.index
        )
        words.append(
            f"Variants were compared in the voxels that all of them have: {roi} of the region, "
            f"{brain} of the brain."
        )
    lacking = table[(table["metric"] == "voxels_lacking") & (table["value"] > 0)]
    numbers: dict[str, list[str]] = {}
    for variant, values in lacking.groupby("variant", sort=False)["value"]:
        numbers.setdefault(_range(values.agg(["min", "max"])), []).append(variant)
    for number, variants in numbers.items():
        who = "every variant" if set(variants) == set(table["variant"]) else ", ".join(variants)
        words.append(f"Without betas, and left out: {number} of the brain in {who}.")
    dprime = table[table["metric"] == "dprime"]
    if len(dprime) and dprime["value"].isna().any():
        words.append("d-prime needs two voxels in the region and two outside: it is not known.")
    return words + [
        f"ICA was not used in {count} run{'s' * (count > 1)} of {variant}, which hold"
        f"{'s' * (count == 1)} the optimal combination."
        for variant, count in ica_fallbacks(table).items()
    ]


def _range(limits: pd.Series) -> str:
    """Write a number of voxels, or the range of several sessions."""
    low, high = int(limits["min"]), int(limits["max"])
    return f"{low:,} voxels" if low == high else f"{low:,} to {high:,} voxels"
