"""Statistics across subjects: mean, standard error and the exact sign-flip test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mebold.compare import tasks
from mebold.compare.metrics import COUNTS
from mebold.errors import ConfigError, DataError

MAX_EXACT = 20


@dataclass(frozen=True)
class SignFlip:
    """Result of a two-sided sign-flip test of a mean against 0.

    Attributes
    ----------
    p : float
    floor : float
        Smallest p that this number of subjects can give, 2 / 2**n.
    n : int
    exact : bool
        False when the flips were sampled (more than 20 subjects).
    """

    p: float
    floor: float
    n: int
    exact: bool


def sign_flip(differences: np.ndarray, *, n_sampled: int = 100_000, seed: int = 0) -> SignFlip:
    """Test paired differences by flipping their signs in all possible ways.

    Parameters
    ----------
    differences : array_like, (n,)
        One difference per subject.
    n_sampled : int
        Random flips when n is above 20; p then counts the data as one of them.
    seed : int
        Seed of those flips.

    Returns
    -------
    SignFlip
        p is the share of sign patterns whose absolute mean is at least the observed one.

    Raises
    ------
    DataError
        When there is no value or one is not finite.
    """
    d = np.asarray(differences, float)
    if d.ndim != 1 or d.size == 0 or not np.isfinite(d).all():
        raise DataError(f"sign-flip test needs finite differences, one per subject, got {d}")
    n = d.size
    observed = abs(d.sum())
    tolerance = 1e-12 * np.abs(d).sum()
    if n <= MAX_EXACT:
        totals = np.zeros(1)
        for value in d:
            totals = np.concatenate([totals + value, totals - value])
        p = float(np.mean(np.abs(totals) >= observed - tolerance))
    else:
        flips = np.random.default_rng(seed).integers(0, 2, (n_sampled, n), dtype=np.int8) * 2 - 1
        extreme = np.abs(flips @ d) >= observed - tolerance
        p = float((extreme.sum() + 1) / (n_sampled + 1))
    return SignFlip(p=p, floor=2.0 ** (1 - n), n=n, exact=n <= MAX_EXACT)


def group_table(table: pd.DataFrame, *, references: Sequence[str]) -> pd.DataFrame:
    """Summarise the comparison over subjects and test each variant against the references.

    Every task and acquisition is a comparison of its own. Sessions of one subject are averaged
    first: subjects are the unit.

    Parameters
    ----------
    table : DataFrame
        Long table of :func:`mebold.compare.tables.comparison_table`, all subjects and tasks.
    references : sequence of str
        Variants to test against (baseline, primary); those absent from the table are refused.

    Returns
    -------
    DataFrame
        Columns ``task acquisition metric variant reference n mean sem mean_difference
        sem_difference relative_percent n_positive p p_floor p_holm p_holm_floor unit``; one row per
        task, metric, variant and reference. ``n`` counts the subjects with both variants, SEM is
        NaN for one subject, and ``relative_percent`` is the difference of the means over the
        reference's mean. ``p_holm`` corrects for the variants that are tested against one reference
        in one metric; it cannot be below ``p_holm_floor``.

    Raises
    ------
    ConfigError
        When a reference is not among the variants.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    known = list(dict.fromkeys(table["variant"]))
    for reference in references:
        if reference not in known:
            raise ConfigError(
                f"reference variant {reference!r} is not in the table; it has {known}"
            )
    rows = []
    tested = table[~table["metric"].isin(COUNTS)]
    for labels, part in tested.groupby([*tasks.COLUMNS, "metric"], sort=False):
        head = dict(zip([*tasks.COLUMNS, "metric"], labels, strict=True))
        wide = part.pivot_table(
            index="subject", columns="variant", values="value", aggfunc="mean", sort=False
        )
        unit = part["unit"].iloc[0]
        for reference in dict.fromkeys(references):
            against = [
                head | _group_row(wide, variant, reference) | {"unit": unit}
                for variant in known
                if variant != reference and variant in wide and reference in wide
            ]
            corrected = holm([row.get("p", np.nan) for row in against])
            n_tested = np.count_nonzero(np.isfinite(corrected))
            for row, p in zip(against, corrected, strict=True):
                floor = min(1.0, n_tested * row["p_floor"]) if np.isfinite(p) else np.nan
                row |= {"p_holm": p, "p_holm_floor": floor}
            rows += against
    columns = [
        *tasks.COLUMNS, "metric", "variant", "reference", "n", "mean", "sem", "mean_difference",
        "sem_difference", "relative_percent", "n_positive", "p", "p_floor", "p_holm",
        "p_holm_floor", "unit",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p values of one family by Holm's step-down method; NaN stays and does not count."""
    p = np.asarray(p, float)
    corrected = np.full(p.shape, np.nan)
    order = [i for i in np.argsort(p, kind="stable") if np.isfinite(p[i])]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def _group_row(wide: pd.DataFrame, variant: str, reference: str) -> dict:
    """Summarise one variant against one reference over subjects."""
    both = wide[[variant, reference]].dropna()
    value, other = both[variant].to_numpy(), both[reference].to_numpy()
    row = {"variant": variant, "reference": reference, "n": len(both)}
    if len(both) == 0:
        return row
    difference = value - other
    test = sign_flip(difference)
    base = other.mean()
    return row | {
        "mean": value.mean(),
        "sem": sem(value),
        "mean_difference": difference.mean(),
        "sem_difference": sem(difference),
        "relative_percent": 100 * difference.mean() / base if base else np.nan,
        "n_positive": int((difference > 0).sum()),
        "p": test.p,
        "p_floor": test.floor,
    }


def sem(values: np.ndarray) -> float:
    """Return the standard error of the mean (ddof 1), NaN for fewer than two values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")
