"""The plan: which stages run for which subject, session and run, and why one does not."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from mebold.errors import MetadataError
from mebold.inventory_runs import Run, collect
from mebold.inventory_table import ABSENT, records
from mebold.plan_anatomy import Decision, anatomy_decisions, output_space
from mebold.plan_distortion import (
    change_decision,
    field_decision,
    medic_decision,
    warp_decision,
)

#: Stages in the order of the science.
STAGES = ("anat", "fmap", "nordic", "stc", "hmc", "coreg", "resample", "optcom", "ica",
          "confounds", "singletrial", "noiseceiling", "across_sessions", "compare",
          "rois")  # fmt: skip
#: Stages of a run that exist where the configuration asks for them (`sdc: dynamic`,
#: `gradient_nonlinearity.warp`).
DYNAMIC, WARP = "sdc_dynamic", "gradunwarp"
GROUP_STAGES = ("noiseceiling", "across_sessions", "compare", "rois")
RUN_STAGES = STAGES[1 : -len(GROUP_STAGES)]
COLUMNS = ("subject", "session", "task", "run", "stem", "group", "stage", "planned", "reason",
           "echoes")  # fmt: skip
_FEWEST_VOLUMES_NORDIC = 6
_FEWEST_ECHOES = 3
#: Label column of the reference data set: what the configuration holds when nobody chose one.
_USUAL_LABEL_COLUMN = "stim_name"


@dataclass
class _Context:
    """What decides about a run besides the run itself."""

    variants: list[str]
    label_column: str | None
    blank: dict
    minimum_volumes: int
    compare_sessions: object
    noise_map: bool
    anatomy: dict[str, Decision]
    space: str
    medic: bool = False
    fieldmaps: dict[tuple, set] = field(default_factory=dict)
    lacking: set[str] = field(default_factory=set)
    done: dict[str, Decision] = field(default_factory=dict)
    denoised: list[str] = field(default_factory=list)


def make_plan(table: pd.DataFrame, *, config: dict | None = None) -> pd.DataFrame:
    """Decide which stages run.

    Parameters
    ----------
    table : DataFrame
        Run table, as from `mebold.inventory.index`.
    config : dict, optional
        Keys of the configuration that decide; all may be absent: ``variants``,
        ``compare_sessions``, ``output.space``, ``design.label_column``, ``design.blank``,
        ``design.minimum_volumes``, ``nordic.noise_map``, ``sdc``, ``gradient_nonlinearity.warp``.

    Returns
    -------
    DataFrame
        One row per subject for ``anat`` (``stem`` holds ``sub-<label>``), per run for the stages
        from ``fmap`` to ``singletrial`` (with ``gradunwarp`` and ``sdc_dynamic`` where they are
        asked for), and per session and task for ``noiseceiling`` (of the session),
        ``across_sessions``, ``compare`` and ``rois`` (``stem`` holds the group).
        ``planned`` is bool, ``reason`` says why not, or what to know of a stage that runs;
        ``echoes`` counts the run's echoes.

    Raises
    ------
    MetadataError
        When events files lack the label column that the configuration names.
    """
    config = config or {}
    runs = collect(table)
    design = config.get("design") or {}
    anatomy = anatomy_decisions(table)
    context = _Context(
        variants=list(config.get("variants") or ["standardSingle", "nordicOptcom"]),
        label_column=design.get("label_column"),
        blank=design.get("blank") or {},
        minimum_volumes=design.get("minimum_volumes", 0),
        compare_sessions=config.get("compare_sessions", "first"),
        noise_map=bool((config.get("nordic") or {}).get("noise_map")),
        anatomy=anatomy,
        space=output_space(config, anatomy),
    )
    context.lacking = _require_labels(runs, context.label_column)
    run_stages = [*RUN_STAGES]
    context.medic = config.get("sdc") == "medic"
    if config.get("sdc") in ("dynamic", "medic"):
        run_stages.insert(run_stages.index("fmap") + 1, DYNAMIC)
    if (config.get("gradient_nonlinearity") or {}).get("warp"):
        run_stages.insert(run_stages.index("fmap") + 1, WARP)
        context.fieldmaps = _fieldmap_corrections(table)
    rows = []
    groups: dict[str, list[Run]] = defaultdict(list)
    for subject, decision in context.anatomy.items():
        names = {"subject": subject, "stem": f"sub-{subject}", "echoes": 0}
        rows.append(_row(names, "anat", decision))
    fitted = defaultdict(list)
    for run in runs:
        groups[run.group].append(run)
        names = {c: run.first[c] for c in ("subject", "session", "task", "run", "stem", "group")}
        context.done = {}
        for stage in run_stages:
            context.done[stage] = _RULES[stage](run, context)
            rows.append(_row(names | {"echoes": run.n_echoes}, stage, context.done[stage]))
        if context.done["singletrial"][0]:
            fitted[run.group].append(run)
            context.denoised += [run.stem] if context.done["nordic"][0] else []
    first_groups = _first_groups(fitted)
    for group, members in groups.items():
        names = {c: members[0].first[c] for c in ("subject", "session", "task")}
        names |= {"stem": group, "group": group, "echoes": members[0].n_echoes}
        decisions = _group_decisions(group, fitted[group], context, first_groups)
        rows += [_row(names, stage, decisions[stage]) for stage in GROUP_STAGES]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"planned": bool, "echoes": int})


def _fieldmap_corrections(table: pd.DataFrame) -> dict[tuple, set]:
    """Return, by folder and identifier, what the scanner noted of each fieldmap's images."""
    found = defaultdict(set)
    for row in records(table[table["datatype"] == "fmap"]):
        found[row["folder"], row["fieldmap"]].add(row["gradient_correction"])
    return found


def _warp(run: Run, context: _Context) -> Decision:
    row = run.first
    keys = [(row["fieldmap_folder"], name) for name in row["fieldmaps"] or ()]
    return warp_decision(run, set().union(*(context.fieldmaps.get(key, set()) for key in keys)))


def _row(names: dict, stage: str, decision: Decision) -> dict:
    cells = {column: names.get(column) or ABSENT for column in COLUMNS}
    decided = dict(zip(("planned", "reason"), decision, strict=True))
    return cells | {"stage": stage, "echoes": names["echoes"], **decided}


def _require_labels(runs: list[Run], column: str | None) -> set[str]:
    """Return the tasks whose events have no label column; raise where one should be there.

    A task whose runs differ is an error, and so is a column that no events file has. The usual
    column is not: it may be in the configuration without anybody having chosen it for these data.
    """
    if column is None:
        return set()
    have, lack = defaultdict(list), defaultdict(list)
    for run in runs:
        if run.first["n_events"]:
            (have if column in run.first["events_columns"] else lack)[run.first["task"]].append(run)
    meant = set(have) if have or column == _USUAL_LABEL_COLUMN else set(lack)
    for task in meant & set(lack):
        first = lack[task][0].first
        message = (
            f"{first['events']}: the label column {column!r} is missing "
            f"(columns: {', '.join(first['events_columns'])}). Add it, or name another column in "
            "the configuration key `design.label_column`."
        )
        raise MetadataError(message)
    return set(lack)


# -- one rule per stage: (run, context) -> (planned, reason) --------------------------------------


def _nordic(run: Run, context: _Context) -> Decision:
    n_volumes = run.first["n_volumes"]
    if run.refusal:
        return False, run.refusal
    if not any(name.startswith("nordic") for name in context.variants):
        return False, "no variant asks for it"
    if n_volumes is not None and n_volumes < _FEWEST_VOLUMES_NORDIC:
        return False, f"{n_volumes} volumes, fewer than {_FEWEST_VOLUMES_NORDIC}"
    notes = [] if "phase" in run.bold else ["magnitude only: no phase images"]
    notes += ["noise level from noRF images"] if run.norf else []
    notes += ["noise map of `nordic.noise_map`"] if context.noise_map else []
    return True, "; ".join(notes)


def _stc(run: Run, context: _Context) -> Decision:  # noqa: ARG001
    if run.refusal:
        return False, run.refusal
    if run.first["acquisition_type"] == "3D":
        return False, "3D acquisition: no slice times"
    if not run.first["slice_timing"]:
        return False, "no SliceTiming in the sidecar: no slice-timing correction"
    return True, ""


def _hmc(run: Run, context: _Context) -> Decision:  # noqa: ARG001
    if run.refusal:
        return False, run.refusal
    if run.first["n_volumes"] == 1:
        return False, "one volume: no motion"
    return True, "" if run.sbref else "no SBRef: robust mean as the reference"


def _coreg(run: Run, context: _Context) -> Decision:
    if run.refusal:
        return False, run.refusal
    planned, reason = context.done["hmc"]
    if not planned:
        return False, reason
    if context.anatomy[run.first["subject"]][0]:
        return True, ""
    if context.space == "boldref":
        return True, "no T1w: aligned with the reference image of the subject's first run"
    return False, (
        "reduced plan: no T1w to align with; `output.space: boldref` needs none, for all subjects "
        "or, with `participant_label`, for this one"
    )


def _follows(stage: str) -> Callable[[Run, _Context], Decision]:
    """Return a rule that plans its stage where another one is planned."""

    def rule(run: Run, context: _Context) -> Decision:  # noqa: ARG001
        planned, reason = context.done[stage]
        return planned, "" if planned else reason

    return rule


def _combination(kind: str) -> Callable[[Run, _Context], Decision]:
    """Return the rule of a stage that combines echoes."""

    def rule(run: Run, context: _Context) -> Decision:
        planned, reason = context.done["resample"]
        if not planned:
            return False, reason
        if run.n_echoes == 1:
            return False, "one echo: nothing to combine"
        if run.n_echoes < _FEWEST_ECHOES:
            return False, (
                f"{run.n_echoes} echoes: combination refused, a T2* fit needs {_FEWEST_ECHOES}; "
                "the middle (second) echo is used"
            )
        if not any(name.endswith(kind) for name in context.variants):
            return False, "no variant asks for it"
        return True, ""

    return rule


def _singletrial(run: Run, context: _Context) -> Decision:
    row = run.first
    planned, reason = context.done["resample"]
    if not planned:
        return False, reason
    if row["events"] is None:
        return False, "no events"
    if not row["n_events"]:
        return False, "events without trials"
    if row["task"] in context.lacking:
        return False, (
            f"events have no column {context.label_column!r} (they have: "
            f"{', '.join(row['events_columns'])}); see `design.label_column`"
        )
    if row["n_volumes"] is not None and row["n_volumes"] < context.minimum_volumes:
        return False, f"{row['n_volumes']} volumes, fewer than {context.minimum_volumes}"
    return True, ""


_RULES = {
    "fmap": lambda run, context: (medic_decision if context.medic else field_decision)(run),
    WARP: _warp,
    DYNAMIC: lambda run, context: (
        context.done["fmap"] if context.medic else change_decision(run, context.done["fmap"])
    ),
    "nordic": _nordic,
    "stc": _stc,
    "hmc": _hmc,
    "coreg": _coreg,
    "resample": _follows("coreg"),
    "optcom": _combination("Optcom"),
    "ica": _combination("Ica"),
    "confounds": _follows("resample"),
    "singletrial": _singletrial,
}


def _group_decisions(
    group: str, fitted: list[Run], context: _Context, first_groups: set[str]
) -> dict[str, Decision]:
    """Return the decisions for noise ceiling, comparison and ROI tables of a session's task."""
    if not fitted:
        reason = "no run enters a single-trial fit"
        return dict.fromkeys(GROUP_STAGES, (False, reason))
    in_session, in_subject = _repeats(fitted, context)
    known = in_subject is not None
    subject = (True, "" if known else "label column not chosen")
    if known and not in_subject:
        subject = (False, "no image is shown twice")
    session, compare = subject, _compare(group, fitted, context, first_groups)
    if known and not in_session:
        compare = (False, "no image is shown twice in the session")
        session = (False, "images repeat across sessions only") if in_subject else subject
    return dict(zip(GROUP_STAGES, (session, subject, compare, subject), strict=True))


def _repeats(fitted: list[Run], context: _Context) -> tuple[bool, bool | None]:
    """Return whether images repeat in the session and in the subject (None when not known)."""
    row = next((run.first for run in fitted if run.first["events_repeats"]), fitted[0].first)
    if context.label_column is None or not row["events_repeats"]:
        return False, None
    # Trials without an image may share one label, which then repeats.
    fewest = 2 if set(context.blank) & set(row["events_columns"]) else 1
    in_session, in_subject = row["events_repeats"][context.label_column]
    return in_session >= fewest, in_subject >= fewest


def _compare(group: str, fitted: list[Run], context: _Context, first_groups: set[str]) -> Decision:
    combined = min(run.n_echoes for run in fitted) >= _FEWEST_ECHOES
    denoised = all(run.stem in context.denoised for run in fitted)
    possible = [
        name
        for name in context.variants
        if (combined or name.endswith("Single")) and (denoised or name.startswith("standard"))
    ]
    if len(possible) < 2:
        return False, "fewer than two variants are possible"
    wanted = context.compare_sessions
    if wanted == "none":
        return False, "switched off by `compare_sessions`"
    session = fitted[0].first["session"]
    if isinstance(wanted, list) and str(session) not in map(str, wanted):
        return False, "session not named in `compare_sessions`"
    if wanted == "first" and group not in first_groups:
        return False, "`compare_sessions`: only the first session of each subject"
    return True, ", ".join(possible)


def _first_groups(fitted: dict[str, list[Run]]) -> set[str]:
    """Return, of each subject's task, the group of the first session with a fit."""
    firsts = {}
    for group, runs in fitted.items():
        row = runs[0].first
        firsts.setdefault((row["subject"], row["task"]), group)
    return set(firsts.values())
