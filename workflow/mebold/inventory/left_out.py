"""What is left out: what the configuration excludes, and what a defect makes unusable."""

import difflib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from mebold.errors import ConfigError, MetadataError
from mebold.files import bids
from mebold.inventory import checks, pairing
from mebold.inventory.findings import Finding
from mebold.inventory.table import frame, records

_HEADS = ("T1w", "UNIT1")
_MOST_SHOWN = 8


@dataclass(frozen=True)
class LeftOut:
    """A run, subject or image that no job reads.

    Attributes
    ----------
    name : str
        Stem of a run, ``sub-<label>``, or the dataset-relative path of an image.
    subject, session, task, run : str or None
        Its labels.
    reason : str
    chosen : bool
        Whether the configuration excludes it; else it has a defect.
    """

    name: str
    subject: str
    session: str | None
    task: str | None
    run: str | None
    reason: str
    chosen: bool

    def __str__(self) -> str:
        """Return one line: what, and why."""
        return f"{self.name}: {self.reason}"


@dataclass
class Examined:
    """What remains of a run table, what was found, and what was left out."""

    table: pd.DataFrame
    findings: list[Finding]
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def defects(self) -> list[LeftOut]:
        """What was left out without anybody having asked for it."""
        return [item for item in self.left_out if not item.chosen]


def examine(
    table: pd.DataFrame,
    *,
    exclude: Iterable[str] | None = None,
    strict: bool = False,
    contents: bool = False,
    selected: bool = False,
) -> Examined:
    """Check a run table, and leave out what is excluded or has a defect.

    A defect of a functional image leaves its run out, one of a fieldmap the runs that it corrects,
    and one of a subject's only T1w the subject; another damaged anatomical image goes alone.
    Defects of events concern the single-trial fit only, as the plan says.

    Parameters
    ----------
    table : DataFrame
        As from `mebold.inventory.index`.
    exclude : iterable of str, optional
        Entities such as ``sub-01``, ``sub-01_ses-02`` (or with a slash), ``ses-02``, or a run's
        stem, with or without a suffix: every image that has them all is left out.
    strict : bool
        A defect stops everything.
    contents : bool
        Images without content (0 bytes, or a link to what was not fetched) count as defects.
    selected : bool
        The table holds a choice of subjects, sessions or tasks: an entry of `exclude` may then
        meet nothing.

    Returns
    -------
    Examined

    Raises
    ------
    MetadataError
        On a defect when `strict`, or when nothing is left.
    ConfigError
        When an entry of `exclude` is no set of entities, or names no image of a whole dataset.
    """
    left: dict[str, LeftOut] = {}
    found: dict[Finding, None] = {}
    if exclude:
        table = _excluded(table, list(exclude), left, selected)
    while True:
        new = checks.findings(table, contents=contents)
        if strict:
            checks.require_none(new)
        found.update(dict.fromkeys(new))
        errors = [f for f in new if f.severity == "error" and f.key != "events"]
        if not errors:
            break
        table = _without_defects(table, errors, left)
    if left and not _useful(table):
        shown = [f"- {item}" for item in list(left.values())[:_MOST_SHOWN]]
        shown += [f"and {len(left) - _MOST_SHOWN} more."] * (len(left) > _MOST_SHOWN)
        message = "Nothing is left to be done:\n" + "\n".join(shown)
        raise MetadataError(message)
    return Examined(table, list(found), list(left.values()))


def _useful(table: pd.DataFrame) -> bool:
    return bool(table["suffix"].isin(["bold", *_HEADS]).any())


def _excluded(table: pd.DataFrame, entries: list[str], left: dict, selected: bool) -> pd.DataFrame:
    """Return the table without what the configuration excludes."""
    rows = records(table)
    parsed = [bids.parse(row["path"]) for row in rows]
    gone: set[str] = set()
    for entry in entries:
        wanted = _entities(entry)
        hits = [r for r, own in zip(rows, parsed, strict=True) if wanted.items() <= own.items()]
        if not hits and not selected:
            names = [*{r["stem"] for r in rows}, *{f"sub-{r['subject']}" for r in rows}]
            close = difflib.get_close_matches(entry, sorted(names), n=1, cutoff=0.7)
            hint = f" (did you mean {close[0]}?)" if close else ""
            message = (
                f"Configuration key `exclude`: no image is named {entry}{hint}. Accepted are "
                "labels with entities, such as sub-01, sub-01_ses-02, ses-02 or the name of a run."
            )
            raise ConfigError(message)
        for row in hits:
            gone.add(row["path"])
            _note(left, row, f"excluded by `exclude: {entry}`", chosen=True)
    return _remaining(rows, gone)


def _entities(entry: str) -> dict[str, str]:
    """Return the entities that an entry of `exclude` asks for."""
    long = {short: name for name, short in bids.ENTITIES.items()}
    found = {}
    for part in entry.strip("/").replace("/", "_").split("_"):
        key, _, label = part.partition("-")
        if label and key in long:
            found[long[key]] = label
        elif part and not label:
            found["suffix"] = part
        else:
            message = (
                f"Configuration key `exclude`: {entry!r} holds {part!r}, which is no entity of a "
                "BIDS name. Accepted are labels such as sub-01_ses-02 or ses-02, or names of runs."
            )
            raise ConfigError(message)
    return found


def _without_defects(table: pd.DataFrame, errors: list[Finding], left: dict) -> pd.DataFrame:
    """Return the table without what the errors make unusable."""
    rows = records(table)
    by_path = {row["path"]: row for row in rows}
    runs, corrected = _runs(rows), _corrected(rows)
    gone: set[str] = set()
    for error in errors:
        for hit in _concerned(by_path[error.path], runs, corrected):
            gone.add(hit["path"])
            _note(left, hit, str(error), alone=hit["datatype"] != "func")
    for row in [row for row in rows if row["suffix"] in _HEADS and row["path"] in gone]:
        own = [r for r in rows if r["subject"] == row["subject"] and r["path"] not in gone]
        if own and not any(r["suffix"] in _HEADS for r in own):
            reason = left[row["path"]].reason
            name = f"sub-{row['subject']}"
            left[name] = LeftOut(name, row["subject"], None, None, None, reason, chosen=False)
            gone |= {r["path"] for r in own}
    return _remaining(rows, gone)


def _runs(rows: list[dict]) -> dict[tuple, list[dict]]:
    """Return the functional images of each run, by folder and stem."""
    found = defaultdict(list)
    for row in rows:
        if row["datatype"] == "func":
            found[row["folder"], row["stem"]].append(row)
    return found


def _corrected(rows: list[dict]) -> dict[tuple, list[dict]]:
    """Return the functional images that each fieldmap corrects, by its folder and name."""
    found = defaultdict(list)
    for row in rows:
        if row["datatype"] == "func":
            for name in row["fieldmaps"] or ():
                found[row["fieldmap_folder"], name].append(row)
    return found


def _concerned(row: dict, runs: dict, corrected: dict) -> list[dict]:
    """Return the rows that cannot be used because of a defect of one."""
    if row["datatype"] == "func":
        return runs[row["folder"], row["stem"]]
    return [row, *corrected.get((row["folder"], row["fieldmap"]), [])]


def _note(left: dict, row: dict, reason: str, *, chosen: bool = False, alone: bool = False) -> None:
    """Note a run once, under the first reason; other images under their own name."""
    name = row["path"] if alone or row["datatype"] != "func" else row["stem"]
    labels = [row[key] for key in ("subject", "session", "task", "run")]
    left.setdefault(name, LeftOut(name, *labels, reason, chosen))


def _remaining(rows: list[dict], gone: set[str]) -> pd.DataFrame:
    """Return the rows that stay, fieldmaps and runs paired anew."""
    kept = [row for row in rows if row["path"] not in gone]
    missing = {row["path"]: row["intended_missing"] for row in kept}
    pairing.pair(kept, {row["path"] for row in kept})
    for row in kept:
        row["intended_missing"] = missing[row["path"]]
    return frame(kept)
