"""The plan: which stages run for which subject, session and run, and why one does not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import pandas as pd

from mebold.errors import MetadataError
from mebold.inventory.left_out import LeftOut
from mebold.inventory.runs import Run, collect
from mebold.inventory.table import ABSENT, records
from mebold.plan import conditions, sampling, trials
from mebold.plan.anatomy import Decision, anatomy_decisions, output_space
from mebold.plan.references import References, partners
from mebold.plan.selection import is_restricted
from mebold.plan.stages import (
    DYNAMIC,
    GROUP_STAGES,
    LEFT_OUT,
    LOCALIZER,
    RULES,
    RUN_STAGES,
    WARP,
    Context,
)
from mebold.variants import possible

COLUMNS = ("subject", "session", "task", "run", "stem", "group", "stage", "planned", "reason",
           "echoes")  # fmt: skip
#: Label column of the reference data set: what the configuration holds when nobody chose one.
_USUAL_LABEL_COLUMN = "stim_name"
_NO_REPEATS = (
    "images repeat across sessions only: variants are compared within a session, so the primary "
    "one is made alone"
)


def make_plan(
    table: pd.DataFrame,
    *,
    config: dict | None = None,
    left_out: Iterable[LeftOut] = (),
    kept: Mapping[str, References] | None = None,
) -> pd.DataFrame:
    """Decide which stages run.

    Parameters
    ----------
    table : DataFrame
        Run table, as from `mebold.inventory.index`.
    config : dict, optional
        Keys of the configuration that decide; all may be absent: ``variants``,
        ``compare_sessions``, ``output.space``, ``design``, ``nordic.noise_map``, ``hmc.echo``,
        ``hmc.reference_echo``, ``sdc``, ``slice_timing.method``, ``gradient_nonlinearity.warp``,
        ``ica.minimum_volumes``, ``output.repetition_time_s``, ``output.without_T1w``, ``anat``,
        ``rois.localizer.tasks``.
    left_out : iterable of LeftOut, optional
        What is not in the table; gets a row each, of the stage ``left_out``.
    kept : mapping, optional
        References of earlier runs of the workflow; see `mebold.plan.references`.

    Returns
    -------
    DataFrame
        One row per subject for ``anat`` (``stem`` holds ``sub-<label>``), per run for the stages
        from ``fmap`` to ``singletrial`` (with ``gradunwarp``, ``sdc_dynamic`` and ``localizer``
        where they are asked for), and per session and task for ``noiseceiling`` (of the session),
        ``across_sessions``, ``compare`` and ``rois`` (``stem`` holds the group).
        ``planned`` is bool, ``reason`` says why not, or what to know of a stage that runs;
        ``echoes`` counts the run's echoes. ``attrs["events"]`` lists the defects of events.

    Raises
    ------
    MetadataError
        When no events file has the label column that the configuration names.
    ConfigError
        For a localizer task without runs, and a contrast with a condition that no run has.
    """
    config = config or {}
    runs = collect(table)
    design, output = config.get("design") or {}, config.get("output") or {}
    used = {sub: own.anatomy for sub, own in (kept or {}).items()}
    anatomy = anatomy_decisions(table, config.get("anat"), used, efficiency=_efficiency(config))
    context = Context(
        variants=list(config.get("variants") or ["standardSingle", "nordicOptcom"]),
        label_column=design.get("label_column"),
        design=design,
        minimum_volumes=design.get("minimum_volumes", 0),
        ica_volumes=(config.get("ica") or {}).get("minimum_volumes", 0),
        intervals=sampling.intervals(runs, output.get("repetition_time_s", "keep"), design),
        without_t1w=output.get("without_T1w", "motion"),
        compare_sessions=config.get("compare_sessions", "first"),
        noise_map=bool((config.get("nordic") or {}).get("noise_map")),
        anatomy=anatomy,
        space=output_space(config, anatomy),
    )
    wanted = ((config.get("rois") or {}).get("localizer") or {}).get("tasks", ())
    context.localizers = {item["task"]: item for item in wanted}
    if not is_restricted(config):  # else the others may have them
        conditions.check(runs, context.localizers)
    blocks = {task for task, item in context.localizers.items() if not item["single_trials"]}
    fitted_runs = [run for run in runs if run.first["task"] not in blocks]
    context.labelled, context.lacking = _labels(fitted_runs, context.label_column)
    run_stages = [*RUN_STAGES]
    context.medic = config.get("sdc") == "medic"
    hmc = config.get("hmc") or {}
    context.reference_echo = hmc.get("reference_echo", context.reference_echo)
    context.motion_echo = hmc.get("echo", context.motion_echo)
    if config.get("sdc") in ("dynamic", "medic"):
        run_stages.insert(run_stages.index("fmap") + 1, DYNAMIC)
    if (config.get("gradient_nonlinearity") or {}).get("warp"):
        run_stages.insert(run_stages.index("fmap") + 1, WARP)
        context.fieldmaps = _fieldmap_corrections(table)
    if context.localizers:
        run_stages.insert(run_stages.index("singletrial"), LOCALIZER)
    timing = (config.get("slice_timing") or {}).get("method")
    context.off = {
        "stc": "switched off by `slice_timing.method`" if timing == "none" else "",
        "fmap": "switched off by `sdc`" if config.get("sdc") == "none" else "",
    }
    context.partners = partners(runs)
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
            reason = context.partners.get(run.stem)
            context.done[stage] = (False, reason) if reason else RULES[stage](run, context)
            rows.append(_row(names | {"echoes": run.n_echoes}, stage, context.done[stage]))
        if context.done["singletrial"][0]:
            fitted[run.group].append(run)
            context.planned[run.stem] = {name for name, (yes, _) in context.done.items() if yes}
    repeats = _repeats(fitted, context)
    first_groups = _first_groups(fitted, repeats)
    for group, members in groups.items():
        names = {c: members[0].first[c] for c in ("subject", "session", "task")}
        names |= {"stem": group, "group": group, "echoes": members[0].n_echoes}
        known = repeats.get(group, (False, None))
        decisions = _group_decisions(group, fitted, context, first_groups, known)
        rows += [_row(names, stage, decisions[stage]) for stage in GROUP_STAGES]
    for item in left_out:
        names = {c: getattr(item, c) for c in ("subject", "session", "task", "run")}
        names |= {"stem": item.name, "echoes": 0}
        rows.append(_row(names, LEFT_OUT, (False, item.reason)))
    plan = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"planned": bool, "echoes": int})
    plan.attrs["events"] = context.problems
    return plan


def _efficiency(config: dict) -> float:
    return (config.get("mp2rage") or {}).get("inversion_efficiency", 1.0)


def _fieldmap_corrections(table: pd.DataFrame) -> dict[tuple, set]:
    """Return, by folder and identifier, what the scanner noted of each fieldmap's images."""
    found = defaultdict(set)
    for row in records(table[table["datatype"] != "func"]):
        found[row["folder"], row["fieldmap"]].add(row["gradient_correction"])
    return found


def _row(names: dict, stage: str, decision: Decision) -> dict:
    cells = {column: names.get(column) or ABSENT for column in COLUMNS}
    decided = dict(zip(("planned", "reason"), decision, strict=True))
    return cells | {"stage": stage, "echoes": names["echoes"], **decided}


def _labels(runs: list[Run], column: str | None) -> tuple[set[str], set[str]]:
    """Return the tasks of which some events have the label column, and the runs without it.

    A column that no events file has is an error of the configuration. The usual column is not: it
    may be there without anybody having chosen it for these data.
    """
    if column is None:
        return set(), set()
    events = [run for run in runs if run.first["n_events"]]
    have = [run for run in events if column in run.first["events_columns"]]
    lack = [run for run in events if column not in run.first["events_columns"]]
    if lack and not have and column != _USUAL_LABEL_COLUMN:
        first = lack[0].first
        message = (
            f"{first['events']}: the label column {column!r} is missing "
            f"(columns: {', '.join(first['events_columns'])}). Add it, or name another column in "
            "the configuration key `design.label_column`."
        )
        raise MetadataError(message)
    return {run.first["task"] for run in have}, {run.stem for run in lack}


def _group_decisions(
    group: str,
    groups: dict[str, list[Run]],
    context: Context,
    first_groups: set[str],
    repeats: tuple[bool, bool | None],
) -> dict[str, Decision]:
    """Return the decisions for noise ceiling, comparison and ROI tables of a session's task."""
    fitted = groups[group]
    if not fitted:
        reason = "no run enters a single-trial fit"
        return dict.fromkeys(GROUP_STAGES, (False, reason))
    in_session, in_subject = repeats
    known = in_subject is not None
    subject = (True, "" if known else "label column not chosen")
    if known and not in_subject:
        subject = (False, "no image is shown twice")
    session, compare = subject, _compare(group, fitted, context, first_groups)
    if known and not in_session:
        compare = (False, _NO_REPEATS if in_subject else "no image is shown twice in the session")
        session = (False, "images repeat across sessions only") if in_subject else subject
    return dict(zip(GROUP_STAGES, (session, subject, compare, subject), strict=True))


def _repeats(groups: dict[str, list[Run]], context: Context) -> dict[str, tuple[bool, bool | None]]:
    """Return, by group, whether images repeat in the session and in the subject (see below)."""
    subjects: dict[str, list[Run]] = defaultdict(list)
    for members in groups.values():
        subjects[members[0].subject_task] += members
    shown = {name: _shown_twice(runs, context) for name, runs in subjects.items()}
    return {
        group: _repeats_of(members, shown[members[0].subject_task], context)
        for group, members in groups.items()
    }


def _shown_twice(runs: list[Run], context: Context) -> bool | None:
    """Return whether an image is shown twice in the runs; None where their events do not tell."""
    counted = trials.repeats(runs, context.design, context.intervals)
    return None if counted is None else any(n > 1 for n in counted[0].values())


def _repeats_of(
    fitted: list[Run], in_subject: bool | None, context: Context
) -> tuple[bool, bool | None]:
    """Return whether images repeat in the session and in the subject (None when not known)."""
    in_session = _shown_twice(fitted, context)
    if None not in (in_session, in_subject):
        return in_session, in_subject
    row = next((run.first for run in fitted if run.first["events_repeats"]), fitted[0].first)
    if context.label_column is None or not row["events_repeats"]:
        return False, None
    # Trials without an image may share one label, which then repeats.
    blank = context.design.get("blank") or {}
    fewest = 2 if set(blank) & set(row["events_columns"]) else 1
    in_session, in_subject = row["events_repeats"][context.label_column]
    return in_session >= fewest, in_subject >= fewest


def _compare(group: str, fitted: list[Run], context: Context, first_groups: set[str]) -> Decision:
    allowed = [
        name
        for name in context.variants
        if all(possible(name, context.planned[run.stem]) for run in fitted)
    ]
    if len(allowed) < 2:
        return False, "fewer than two variants are possible"
    wanted = context.compare_sessions
    if wanted == "none":
        return False, "switched off by `compare_sessions`"
    session = fitted[0].first["session"]
    if isinstance(wanted, list) and str(session) not in map(str, wanted):
        return False, "session not named in `compare_sessions`"
    if wanted == "first" and group not in first_groups:
        return (
            False,
            "`compare_sessions`: only the first session of each subject in which images repeat",
        )
    return True, ", ".join(allowed)


def _first_groups(
    fitted: dict[str, list[Run]], repeats: dict[str, tuple[bool, bool | None]]
) -> set[str]:
    """Return, of each subject's task, the first session in which images repeat, or may.

    Variants are compared by what repeats: a session without it says nothing of them.
    """
    firsts = {}
    for group, runs in fitted.items():
        in_session, in_subject = repeats[group]
        if in_session or in_subject is None:
            firsts.setdefault(runs[0].subject_task, group)
    return set(firsts.values())
