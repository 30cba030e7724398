"""Which template suits the age of a participant."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mebold.errors import DataError, MetadataError
from mebold.files.tables import read_cells, read_json
from mebold.inventory.findings import Finding, warning

#: Value of `template.space` that asks for the table.
BY_AGE = "by_age"
_TABLE, _ABOUT = "participants.tsv", "participants.json"
_PER_YEAR = {"year": 1.0, "month": 12.0, "week": 52.1775, "day": 365.2425}
_UNITS = {
    "year": "year", "years": "year", "y": "year", "yr": "year", "yrs": "year", "a": "year",
    "month": "month", "months": "month", "mo": "month",
    "week": "week", "weeks": "week", "wk": "week",
    "day": "day", "days": "day", "d": "day",
}  # fmt: skip
#: Ages that count from before birth.
_PRENATAL = re.compile(r"gestation|conception|post.?menstrual|fetal|foetal|\bp[mc]a\b", re.I)
_FETAL = (
    "this age counts from before birth, and fetal images are out of scope: templates, brain mask "
    "and tissue classes are made for heads after birth. For infants give the age since birth"
)
_OLDEST_YEARS = 120.0


@dataclass(frozen=True)
class Choice:
    """Template of one subject.

    Attributes
    ----------
    identifier : str or None
        As the configuration writes it; None where the age is unknown.
    note : str
        For the plan: the age that led to it, or why there is none.
    """

    identifier: str | None
    note: str


def choose(
    bids_dir: str | Path, subjects: Iterable[str], table: Sequence[Sequence]
) -> tuple[dict[str, Choice], list[Finding]]:
    """Choose a template for each subject by ``age`` in participants.tsv.

    Parameters
    ----------
    bids_dir : path-like
    subjects : iterable of str
        Without ``sub-``.
    table : sequence of (number or None, str)
        Ages in years below which a template is meant, ascending; None takes all that are older.

    Returns
    -------
    chosen : dict
        ``sub-<label>`` to `Choice`.
    findings : list of Finding
        One per subject without a template, and one where the unit is not written down.

    Raises
    ------
    MetadataError
        When the table does not ascend.
    """
    _check(table)
    ages, unit, note = _read(Path(bids_dir))
    chosen, found = {}, []
    fix = f"Add `age` to {_TABLE}, with its Units in {_ABOUT}, or choose one `template.space`"
    if note:
        found.append(warning(_TABLE, "age", note, f"Write the Units of age into {_ABOUT}"))
    for subject in subjects:
        text = ages.get(f"sub-{subject}")
        years, problem = _years(text, unit)
        if problem:
            message = f"sub-{subject}: {problem}; the T1w is aligned with no template"
            found.append(warning(_TABLE, "age", message, fix))
            chosen[f"sub-{subject}"] = Choice(None, f"no template: {problem}")
            continue
        identifier = next((name for below, name in table if below is None or years < below), None)
        said = f"an age of {text} {unit}{'' if str(text) == '1' else 's'}"
        if identifier is None:
            problem = f"`template.ages` ends below {said}"
            found.append(warning(_TABLE, "age", f"sub-{subject}: {problem}", fix))
            chosen[f"sub-{subject}"] = Choice(None, f"no template: {problem}")
        else:
            chosen[f"sub-{subject}"] = Choice(identifier, f"template {identifier} for {said}")
    return chosen, found


def _check(table: Sequence[Sequence]) -> None:
    limits = [float("inf") if below is None else float(below) for below, _ in table]
    if not table or limits != sorted(set(limits)):
        message = (
            f"Configuration key `template.ages`: ages must ascend, got {[b for b, _ in table]} "
            "(years; null, at the end, for all that are older)."
        )
        raise MetadataError(message)


def _read(root: Path) -> tuple[dict[str, str], str, str]:
    """Return the ages as written, their unit, and what has to be said of it."""
    path = root / _TABLE
    if not path.is_file():
        return {}, "year", ""
    rows = read_cells(path)
    if not {"participant_id", "age"} <= set(rows.columns):
        return {}, "year", ""
    ages = dict(zip(rows["participant_id"], rows["age"], strict=True))
    about = root / _ABOUT
    try:
        units = (read_json(about).get("age") or {}).get("Units") if about.is_file() else None
    except (ValueError, AttributeError, DataError):
        units = None
    if units is None:
        # BIDS: the recommended column age is in years.
        return ages, "year", f"{_ABOUT} gives no Units of age: BIDS means years"
    text = str(units).strip().lower()
    return ages, _UNITS.get(text, text), ""


def _years(text: str | None, unit: str) -> tuple[float, str]:
    """Return an age in years, or what is wrong with it."""
    if _PRENATAL.search(unit):
        return 0.0, _FETAL
    if unit not in _PER_YEAR:
        return 0.0, f"the Units of age, {unit!r}, are none of year, month, week and day"
    if text is None or text.strip().lower() in ("", "n/a", "nan", "none"):
        return 0.0, "its age is unknown"
    # Old participants are often written as 89+.
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*\+?\s*", text)
    if not match:
        return 0.0, f"its age, {text!r}, is no number"
    years = float(match.group(1)) / _PER_YEAR[unit]
    if years < 0:
        return 0.0, _FETAL
    if years > _OLDEST_YEARS:
        return 0.0, f"its age is {text} {unit}s, more than {_OLDEST_YEARS:g} years"
    return years, ""
