"""The plan as a text table: a block per session, reasons below it as numbered notes."""

from collections.abc import Iterable, Iterator

import pandas as pd

from mebold.inventory.findings import named
from mebold.inventory.table import ABSENT
from mebold.plan.stages import GROUP_STAGES, LEFT_OUT, LOCALIZER_ALONE, NO_LOCALIZER, WARP

#: Words of reasons that the configuration gives or that follow from another one.
CHOSEN = (
    "no variant asks for it",
    "compare_sessions",
    "fewer than two variants",
    "switched off by",
    LOCALIZER_ALONE,
    NO_LOCALIZER,
)
# Stages whose notes are told although they run.
_LOUD = ("nordic", WARP, "singletrial", "ica")
_MARK = {True: "yes", False: "-"}


def format_plan(plan: pd.DataFrame, findings: Iterable[str] = ()) -> str:
    """Write a plan for reading in a terminal.

    Parameters
    ----------
    plan : DataFrame
        As from `mebold.plan.table.make_plan`.
    findings : iterable of str
        What was found in the data besides.

    Returns
    -------
    str
        First what is left out and what was found, one line each. Then for each subject a line on
        the anatomy, and for each session a table with a row per run and a column per stage:
        ``yes`` or ``-``, with the number of a note.
    """
    every = plan.to_dict("records")
    out = [f"left out: {row['stem']}: {row['reason']}" for row in every if row["stage"] == LEFT_OUT]
    rows = [row for row in every if row["stage"] != LEFT_OUT]
    lines = [*out, *findings]
    lines += [""] * bool(lines)
    for subject in dict.fromkeys(row["subject"] for row in rows):
        own = [row for row in rows if row["subject"] == subject]
        anat = next(row for row in own if row["stage"] == "anat")
        text = "yes" if anat["planned"] else "no"
        note = f" ({anat['reason']})" if anat["reason"] else ""
        lines += [f"sub-{subject}: anatomy {text}{note}"]
        others = [row for row in own if row["stage"] != "anat"]
        if not others:
            lines.append("  no BOLD run")
        for session in dict.fromkeys(row["session"] for row in others):
            block = [row for row in others if row["session"] == session]
            lines += ["", *_session(subject, session, block)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def notices(plan: pd.DataFrame) -> list[str]:
    """Say what the data do not allow, for the start of every run of the workflow.

    Parameters
    ----------
    plan : DataFrame
        As from `mebold.plan.table.make_plan`.

    Returns
    -------
    list of str
        One line per reason, with the stages it concerns and how often; what the configuration
        chose is left out.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for row in plan[plan["stage"] != LEFT_OUT].to_dict("records"):
        loud = not row["planned"] or row["stage"] in _LOUD
        if loud and row["reason"] and not any(words in row["reason"] for words in CHOSEN):
            found.setdefault(row["reason"], {}).setdefault(row["stage"], set()).add(row["stem"])
    lines = []
    for reason, stages in found.items():
        stems = set().union(*stages.values())
        count = f"{len(stems)} runs or sessions: " if len(stems) > 1 else ""
        where = count + named(sorted(stems))
        lines.append(f"{', '.join(stages)}: {reason} ({where})")
    return lines


def _session(subject: str, session: str, rows: list[dict]) -> Iterator[str]:
    notes: dict[str, int] = {}
    runs: dict[str, dict[str, dict]] = {}
    groups: dict[str, dict[str, dict]] = {}
    for row in rows:
        target = groups if row["stage"] in GROUP_STAGES else runs
        target.setdefault(row["stem"], {})[row["stage"]] = row
    prefix = f"sub-{subject}" + (f"_ses-{session}" if session != ABSENT else "")
    yield f"{prefix}: {len(runs)} run{'s' if len(runs) != 1 else ''}"
    for table in (runs, groups):
        stages = list(next(iter(table.values())))
        cells = [["run" if table is runs else "task", "echoes", *stages]]
        for stem, by_stage in table.items():
            marks = [_cell(by_stage[stage], notes) for stage in stages]
            name = stem.removeprefix(f"{prefix}_")
            cells.append([name, str(by_stage[stages[0]]["echoes"]), *marks])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            text = "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True))
            yield f"  {text.rstrip()}"
    for reason, number in notes.items():
        yield f"  [{number}] {reason}"


def _cell(row: dict, notes: dict[str, int]) -> str:
    mark = _MARK[row["planned"]]
    if not row["reason"]:
        return mark
    return f"{mark}[{notes.setdefault(row['reason'], len(notes) + 1)}]"
