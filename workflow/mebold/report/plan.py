"""The plan of an output folder, and the facts of its acquisition."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from mebold.plan.stages import GROUP_STAGES, LEFT_OUT
from mebold.report.folder import Folder, entities, number
from mebold.variants import VARIANTS

ABSENT = ("", "n/a", "nan")


@dataclass
class Planned:
    """What is planned for a subject, a run, or the runs of a task in a session.

    Attributes
    ----------
    name : str
        ``sub-01``, the stem of a run, or the name of a group.
    kind : {"subject", "run", "group"}
    labels : dict
        ``subject``, ``session``, ``task``, ``run``; without what is absent.
    group : str
        Group that a run belongs to.
    stages : dict
        Stage to whether it is planned, in the order of the science.
    reasons : dict
        Stage to why not, or to what is to be known of it.
    """

    name: str
    kind: str
    labels: dict[str, str]
    group: str
    stages: dict[str, bool] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Folder of the session or subject in each dataset."""
        session = self.labels.get("session")
        return f"sub-{self.labels['subject']}" + (f"/ses-{session}" if session else "")

    @property
    def short(self) -> str:
        """The name without its subject."""
        return self.name.removeprefix(f"sub-{self.labels['subject']}").lstrip("_") or self.name


def read(folder: Folder) -> tuple[list[Planned], list[dict[str, str]]]:
    """Return what is planned, and the rows of what was left out.

    Parameters
    ----------
    folder : Folder

    Returns
    -------
    planned : list of Planned
        In the order of the plan.
    left_out : list of dict
        Keys ``subject``, ``stem``, ``reason``.
    """
    found: dict[str, Planned] = {}
    left_out = []
    for row in folder.read_tsv("plan.tsv"):
        if row["stage"] == LEFT_OUT:
            left_out.append({key: row[key] for key in ("subject", "stem", "reason")})
            continue
        kind = "subject" if row["stage"] == "anat" else "run"
        kind = "group" if row["stage"] in GROUP_STAGES else kind
        labels = {
            key: row[key]
            for key in ("subject", "session", "task", "run")
            if row[key] not in ABSENT and not (kind == "group" and key == "run")
        }
        one = found.setdefault(row["stem"], Planned(row["stem"], kind, labels, row["group"]))
        one.stages[row["stage"]] = row["planned"] == "True"
        if row["reason"] not in ABSENT:
            one.reasons[row["stage"]] = row["reason"]
    return list(found.values()) or _from_files(folder), left_out


def _from_files(folder: Folder) -> list[Planned]:
    """Return the runs that have a file, where a call by target has left no plan."""
    found = []
    for owner in folder.owners:
        if folder.first(owner, r"desc-native_motion\.json", "preproc"):
            names = entities(owner)
            keys = {"subject": "sub", "session": "ses", "task": "task", "run": "run"}
            labels = {key: names[entity] for key, entity in keys.items() if entity in names}
            group = owner.partition("_run-")[0]
            found.append(Planned(owner, "run", labels, group))
    return found


def subjects(planned: Iterable[Planned], left_out: Iterable[dict]) -> list[str]:
    """Return the subjects of a plan with the ``sub-`` prefix, those without any run too."""
    names = {f"sub-{one.labels['subject']}" for one in planned}
    names |= {f"sub-{row['subject']}" for row in left_out if row["subject"] not in ABSENT}
    return sorted(names)


def variants_of(group: Planned | None, primary: str) -> list[str]:
    """Return the variants of a group: those that its comparison names, else the primary one."""
    if group is None or not group.stages.get("compare"):
        return [primary]
    named = [name.strip() for name in group.reasons.get("compare", "").split(",")]
    return [name for name in named if name in VARIANTS] or [primary]


def acquisition(folder: Folder) -> dict[str, dict]:
    """Return the acquired images of every run, from the run table that the call kept.

    Returns
    -------
    dict
        Stem to ``{"tr", "echo_times", "volumes", "shape", "voxel_mm", "field", "readout",
        "direction", "phase", "trials"}``; empty where the table is gone.
    """
    runs: dict[str, dict] = {}
    for path in sorted((folder.root / "work" / "tables").glob("runs_*.tsv")):
        for row in folder.read_tsv(path.relative_to(folder.root).as_posix()):
            if row.get("datatype") != "func" or row.get("suffix") != "bold":
                continue
            run = runs.setdefault(row["stem"], {"echo_times": set(), "phase": False})
            run["phase"] |= row["component"] == "phase"
            if (echo := number(row["echo_time"])) is not None:
                run["echo_times"].add(echo)
            shape, voxel = _values(row["shape"]), _values(row["voxel_mm"])
            run |= {
                "tr": number(row["repetition_time"]),
                "volumes": number(row["n_volumes"]),
                "shape": shape[:3],
                "voxel_mm": voxel,
                "field": number(row["magnetic_field_strength"]),
                "direction": row["phase_encoding_direction"],
                "trials": number(row["n_events"]),
            }
    for run in runs.values():
        run["echo_times"] = sorted(run["echo_times"])
    return runs


def _values(text: str) -> list[float]:
    try:
        return list(json.loads(text))
    except (TypeError, ValueError):
        return []
