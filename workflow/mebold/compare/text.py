"""The result of the comparison in plain words, for the report."""

from __future__ import annotations

import pandas as pd

from mebold.compare import tasks
from mebold.compare.metrics import ica_fallbacks
from mebold.errors import DataError

METRIC = "noise_ceiling_median"


def describe(
    table: pd.DataFrame,
    paired: pd.DataFrame,
    *,
    baseline: str,
    primary: str,
    group: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> str:
    """Say which variant was best, by how much, and how sure that is.

    Parameters
    ----------
    table : DataFrame
        Long table of all subjects and sessions, one task (`mebold.compare.tasks`).
    paired : DataFrame
        Paired differences against baseline and primary.
    baseline, primary : str
        Variants.
    group : DataFrame, optional
        Table over subjects; used with two subjects or more.
    confidence : float
        Level of the intervals in the tables.

    Returns
    -------
    str
        One paragraph. A difference counts as clear only when the bootstrap over images *and* the
        one over runs leave out 0.

    Raises
    ------
    DataError
        When the table holds no noise ceilings.
    """
    tasks.require_one(table)
    part = table[table["metric"] == METRIC]
    if part.empty:
        raise DataError(f"the comparison table has no rows of {METRIC}")
    per_subject = part.groupby(["subject", "variant"], sort=False)["value"].mean().unstack()
    mean = per_subject.mean().reindex(part["variant"].unique())
    best, worst = mean.idxmax(), mean.idxmin()
    second = mean.drop(best).idxmax() if len(mean) > 2 else None
    n, level = len(per_subject), f"{100 * confidence:g} %"
    who = f"subject {per_subject.index[0]}" if n == 1 else f"{n} subjects (means over subjects)"
    sentences = [
        f"{len(mean)} variant{'s' * (len(mean) > 1)} compared in {who}. The highest median noise "
        f"ceiling in the visually responsive voxels was that of {best}, {mean[best]:.1f} %"
        + (f"; the next that of {second}, {mean[second]:.1f} %" if second else "")
        + f"; the lowest that of {worst}, {mean[worst]:.1f} %."
    ]
    if n == 1 and len(part[part["variant"] == best]) == 1:
        row = part[part["variant"] == best].iloc[0]
        sentences.append(
            f"The {level} interval of {best} is {row['ci_low']:.1f} to {row['ci_high']:.1f} %."
        )
    pairs = [
        (variant, reference)
        for variant, reference in _wanted_pairs(best, second, baseline, primary)
        if variant in mean and reference in mean
    ]
    sentences += [_pair_sentence(paired, mean, *pair, level) for pair in pairs]
    sentences += _group_sentences(group, pairs, n)
    sentences += _quality_sentences(table, baseline, primary)
    sentences += [
        f"ICA was not used in {count} run{'s' * (count > 1)} of {variant}, which hold"
        f"{'s' * (count == 1)} the optimal combination."
        for variant, count in ica_fallbacks(table).items()
    ]
    return " ".join(s for s in sentences if s)


def _wanted_pairs(
    best: str, second: str | None, baseline: str, primary: str
) -> list[tuple[str, str]]:
    """List the pairs to speak of: primary and best against the baseline, best against primary.

    Where the primary is best, the next one against it: its lead may be none.
    """
    pairs = [(primary, baseline), (best, baseline), (best, primary)]
    if best == primary and second not in (None, baseline):
        pairs.append((second, primary))
    return [p for p in dict.fromkeys(pairs) if p[0] != p[1]]


def _pair_sentence(
    paired: pd.DataFrame, mean: pd.Series, variant: str, reference: str, level: str
) -> str:
    """State one difference with its intervals and how sure it is."""
    difference = mean[variant] - mean[reference]
    relative = f" ({100 * difference / mean[reference]:+.0f} %)" if mean[reference] > 0 else ""
    text = f"{variant} differs from {reference} by {difference:+.1f} points{relative}"
    rows = paired[
        (paired["metric"] == METRIC)
        & (paired["variant"] == variant)
        & (paired["reference"] == reference)
        & paired["ci_low"].notna()
    ]
    sessions = rows[["subject", "session"]].drop_duplicates()
    if len(sessions) == 0:
        return f"{text}, without an interval."
    clear = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
    if len(sessions) == 1:
        limits = " and ".join(
            f"{r.ci_low:+.1f} to {r.ci_high:+.1f} over {r.method}" for r in rows.itertuples()
        )
        verdict = "clearly different" if clear.all() else "not distinguishable: an interval holds 0"
        return f"{text}; {level} interval {limits}: {verdict}."
    up = (rows["ci_low"] > 0).groupby([rows["subject"], rows["session"]]).all().sum()
    down = (rows["ci_high"] < 0).groupby([rows["subject"], rows["session"]]).all().sum()
    return (
        f"{text}; by the bootstrap within subjects it is clearly higher in {up} and clearly lower "
        f"in {down} of {len(sessions)} subject sessions ({level} intervals over images and runs)."
    )


def _group_sentences(group: pd.DataFrame | None, pairs: list[tuple[str, str]], n: int) -> list[str]:
    """State the tests across subjects with their floor."""
    if n < 2:
        return ["With one subject nothing is tested across subjects."]
    if group is None:
        return []
    rows = group[group["metric"] == METRIC].set_index(["variant", "reference"])
    sentences = []
    for variant, reference in pairs:
        if (variant, reference) not in rows.index:
            continue
        row = rows.loc[variant, reference]
        floor = f" ({int(row['n'])} subjects cannot give less than {row['p_floor']:.3g})"
        sentences.append(
            f"Across subjects {variant} is higher than {reference} in {int(row['n_positive'])} of "
            f"{int(row['n'])} (difference {row['mean_difference']:.1f} ± "
            f"{row['sem_difference']:.1f} points, mean ± SEM); exact two-sided sign-flip "
            f"p = {row['p']:.3g}{'' if sentences else floor}."
        )
    return sentences


def _quality_sentences(table: pd.DataFrame, baseline: str, primary: str) -> list[str]:
    """Say what else changed from baseline to primary: signal, smoothness, tSNR."""
    if baseline == primary:
        return []
    wide = table.pivot_table(index="metric", columns="variant", values="value", aggfunc="mean")
    if baseline not in wide or primary not in wide:
        return []
    names = {
        "tsnr_median_roi": ("tSNR in the ROI", "{:.0f}", ""),
        "smoothness_fwhm": ("smoothness", "{:.2f}", " mm"),
        "percent_signal_change": ("mean response", "{:.2f}", " %"),
        "glmdenoise_components": ("GLMdenoise components", "{:.1f}", ""),
    }
    parts = []
    for metric, (label, pattern, unit) in names.items():
        if metric in wide.index and wide.loc[metric, [baseline, primary]].notna().all():
            a, b = (pattern.format(wide.loc[metric, v]) for v in (baseline, primary))
            parts.append(f"{label} {a} -> {b}{unit}")
    if not parts:
        return []
    return [f"From {baseline} to {primary}: {', '.join(parts)}."]
