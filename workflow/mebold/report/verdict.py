"""Is a run usable: its numbers, warnings and failures against the limits of the configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

GOOD, LOOK, BAD, NONE = "good", "look", "bad", "not judged"
#: From the worst on.
LEVELS = (BAD, LOOK, GOOD, NONE)
#: Limits, as in the section ``report`` of the configuration.
LIMITS = {
    "look_fd_mm": 0.25,
    "bad_fd_mm": 0.55,
    "look_outliers_percent": 10.0,
    "bad_outliers_percent": 30.0,
    "least_tsnr_share": 0.7,
    "least_volumes_share": 0.9,
}
_FEWEST_TO_COMPARE = 3


@dataclass
class Verdict:
    """What is thought of a run.

    Attributes
    ----------
    level : {"good", "look", "bad", "not judged"}
        The worst of its reasons.
    reasons : list of (level, text)
        The worst first; empty where nothing speaks against the run.
    """

    level: str = GOOD
    reasons: list[tuple[str, str]] = field(default_factory=list)


def judge(
    numbers: Mapping[str, float | None],
    limits: Mapping[str, float],
    *,
    warnings: Iterable[str] = (),
    failed: Iterable[str] = (),
    others: Sequence[Mapping[str, float | None]] = (),
) -> Verdict:
    """Judge a run.

    Parameters
    ----------
    numbers : mapping
        As from `mebold.report.quality.of_run`.
    limits : mapping
        Keys of `LIMITS`.
    warnings : iterable of str
        What its stages warned of; each makes the run one to look at.
    failed : iterable of str
        Its stages that failed, or wait for one that did; each makes the run bad.
    others : sequence of mappings
        Numbers of the other runs of its subject and task, to tell a run that falls behind.

    Returns
    -------
    Verdict
        ``not judged`` where nothing was measured and nothing failed.
    """
    reasons = [(BAD, text) for text in failed]
    if numbers.get("fd_mean") is None and not reasons:
        return Verdict(NONE)
    reasons += _beyond(
        numbers.get("fd_mean"),
        (limits["look_fd_mm"], limits["bad_fd_mm"]),
        "mean framewise displacement {:.2f} mm",
        "mm",
    )
    reasons += _beyond(
        numbers.get("outliers_perc"),
        (limits["look_outliers_percent"], limits["bad_outliers_percent"]),
        "{:.0f} % of the volumes are outliers of motion",
        "%",
    )
    reasons += _behind(numbers, others, "tsnr", limits["least_tsnr_share"], "temporal SNR {:.0f}")
    share = limits["least_volumes_share"]
    reasons += _behind(numbers, others, "size_t", share, "{:.0f} volumes")
    reasons += [(LOOK, text) for text in warnings]
    reasons.sort(key=lambda reason: LEVELS.index(reason[0]))
    return Verdict(reasons[0][0] if reasons else GOOD, reasons)


def _beyond(
    value: float | None, limits: tuple[float, float], words: str, unit: str
) -> list[tuple[str, str]]:
    """Return the reason for a value above one of two limits."""
    if value is None or value <= limits[0]:
        return []
    level, limit = (BAD, limits[1]) if value > limits[1] else (LOOK, limits[0])
    return [(level, f"{words.format(value)} (limit {limit:g} {unit})")]


def _behind(
    numbers: Mapping, others: Sequence[Mapping], key: str, share: float, words: str
) -> list[tuple[str, str]]:
    """Return the reason for a value that falls short of those of the other runs."""
    known = [other[key] for other in others if other.get(key) is not None]
    value = numbers.get(key)
    if value is None or len(known) < _FEWEST_TO_COMPARE or not median(known) > 0:
        return []
    usual = median(known)
    if value >= share * usual:
        return []
    text = f"{words.format(value)}, {usual:.0f} in the other runs (limit {100 * share:g} % of it)"
    return [(LOOK, text)]


def tally(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Count verdicts by level, the good first."""
    levels = [verdict.level for verdict in verdicts]
    return {level: levels.count(level) for level in (GOOD, LOOK, BAD, NONE) if level in levels}
