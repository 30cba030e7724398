"""Rules of the plan: for each stage, whether it runs for a run, and why not."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mebold.inventory.runs import Run
from mebold.plan import trials
from mebold.plan.anatomy import Decision
from mebold.plan.distortion import change_decision, field_decision, medic_decision, warp_decision
from mebold.variants import VARIANTS

#: Stages in the order of the science.
STAGES = ("anat", "fmap", "nordic", "stc", "hmc", "coreg", "resample", "optcom", "ica",
          "confounds", "singletrial", "noiseceiling", "across_sessions", "compare",
          "rois")  # fmt: skip
#: Stages of a run that exist where the configuration asks for them (`sdc: dynamic`,
#: `gradient_nonlinearity.warp`).
DYNAMIC, WARP = "sdc_dynamic", "gradunwarp"
#: Stage of a run that exists where `rois.localizer.tasks` names a task.
LOCALIZER = "localizer"
#: Stage of the rows that say what is not worked on at all.
LEFT_OUT = "left_out"
GROUP_STAGES = ("noiseceiling", "across_sessions", "compare", "rois")
RUN_STAGES = STAGES[1 : -len(GROUP_STAGES)]
#: Reasons that the choice of localizer tasks gives.
LOCALIZER_ALONE = "a localizer (`rois.localizer.tasks`): conditions are fitted, not single trials"
NO_LOCALIZER = "no task of `rois.localizer.tasks`"
_FEWEST_VOLUMES_NORDIC = 6
_FEWEST_ECHOES = 3


@dataclass
class Context:
    """What decides about a run besides the run itself."""

    variants: list[str]
    label_column: str | None
    design: dict
    minimum_volumes: int
    ica_volumes: int
    intervals: dict
    without_t1w: str
    compare_sessions: object
    noise_map: bool
    anatomy: dict[str, Decision]
    space: str
    medic: bool = False
    reference_echo: int = 2
    motion_echo: int = 1
    fieldmaps: dict[tuple, set] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)
    partners: dict[str, str] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)
    lacking: set[str] = field(default_factory=set)
    localizers: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    done: dict[str, Decision] = field(default_factory=dict)
    planned: dict[str, set[str]] = field(default_factory=dict)


def _warp(run: Run, context: Context) -> Decision:
    row = run.first
    keys = [(row["fieldmap_folder"], name) for name in row["fieldmaps"] or ()]
    return warp_decision(run, set().union(*(context.fieldmaps.get(key, set()) for key in keys)))


# -- one rule per stage: (run, context) -> (planned, reason) --------------------------------------


def _nordic(run: Run, context: Context) -> Decision:
    n_volumes = run.first["n_volumes"]
    if run.refusal:
        return False, run.refusal
    if not any(VARIANTS[name][0] == "nordic" for name in context.variants):
        return False, "no variant asks for it"
    if n_volumes is not None and n_volumes < _FEWEST_VOLUMES_NORDIC:
        return False, f"{n_volumes} volumes, fewer than {_FEWEST_VOLUMES_NORDIC}"
    notes = [] if "phase" in run.bold else ["magnitude only: no phase images"]
    notes += ["noise level from noRF images"] if run.norf else []
    notes += ["noise map of `nordic.noise_map`"] if context.noise_map else []
    return True, "; ".join(notes)


def _stc(run: Run, context: Context) -> Decision:
    if run.refusal:
        return False, run.refusal
    if context.off["stc"]:
        return False, context.off["stc"]
    if run.first["acquisition_type"] == "3D":
        return False, "3D acquisition: no slice times"
    if not run.first["slice_timing"]:
        return False, "no SliceTiming in the sidecar: no slice-timing correction"
    return True, ""


def _hmc(run: Run, context: Context) -> Decision:
    if run.refusal:
        return False, run.refusal
    bare = not context.anatomy[run.first["subject"]][0] and context.space != "boldref"
    if bare and context.without_t1w == "leave_out":
        return False, "no T1w, and `output.without_T1w: leave_out`: the run is left out"
    if run.first["n_volumes"] == 1:
        return False, "one volume: no motion"
    if "mag" not in run.bold or not any(row["echo_index"] for row in run.sbref.get("mag", [])):
        return True, "no SBRef: robust mean as the reference"
    notes = (
        (context.reference_echo, "robust mean of its series as the reference"),
        (context.motion_echo, "motion is measured against the mean of its series"),
    )
    for number, instead in notes:
        position = run.echo_position(number)
        if run.sbref_at(position) is None:
            return True, f"no SBRef of echo {position + 1}: {instead}"
    return True, ""


def _coreg(run: Run, context: Context) -> Decision:
    if run.refusal:
        return False, run.refusal
    planned, reason = context.done["hmc"]
    if not planned:
        return False, reason
    if context.anatomy[run.first["subject"]][0]:
        return True, ""
    if context.space == "boldref":
        return True, "no T1w: aligned with the reference image of the subject's reference run"
    return False, (
        "reduced plan: no T1w to align with; `output.without_T1w: boldref` puts all subjects into "
        "boldref space, which needs none, and `participant_label` this one alone"
    )


def _follows(stage: str) -> Callable[[Run, Context], Decision]:
    """Return a rule that plans its stage where another one is planned."""

    def rule(run: Run, context: Context) -> Decision:  # noqa: ARG001
        planned, reason = context.done[stage]
        return planned, "" if planned else reason

    return rule


def _combination(echoes: str) -> Callable[[Run, Context], Decision]:
    """Return the rule of a stage that combines echoes."""

    def rule(run: Run, context: Context) -> Decision:
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
        if not any(VARIANTS[name][1] == echoes for name in context.variants):
            return False, "no variant asks for it"
        n_volumes = run.first["n_volumes"]
        if echoes == "ica" and n_volumes is not None and n_volumes < context.ica_volumes:
            return True, (
                f"{n_volumes} volumes acquired, fewer than {context.ica_volumes} "
                "(`ica.minimum_volumes`): the ICA variants hold the optimal combination"
            )
        return True, ""

    return rule


def _singletrial(run: Run, context: Context) -> Decision:
    row = run.first
    planned, reason = context.done["resample"]
    if not planned:
        return False, reason
    localizer = context.localizers.get(row["task"])
    if localizer and not localizer.get("single_trials"):
        return False, LOCALIZER_ALONE
    if refused := _without_events(run, context, of="trials"):
        return refused
    if run.stem in context.lacking:
        reason = (
            f"events have no column {context.label_column!r} (they have: "
            f"{', '.join(row['events_columns'])}); see `design.label_column`"
        )
        other = row["task"] in context.labelled  # its other runs have the column
        return _unfit(context, f"{row['events']}: {reason}") if other else (False, reason)
    if row["n_volumes"] is not None and row["n_volumes"] < context.minimum_volumes:
        return False, (
            f"{row['n_volumes']} volumes acquired, fewer than {context.minimum_volumes} "
            "(`design.minimum_volumes`)"
        )
    if context.label_column is None:
        return True, ""
    problem, note = trials.check(run, context.design, interval_s=context.intervals[run.stem])
    return _unfit(context, problem) if problem else (True, note)


def _localizer(run: Run, context: Context) -> Decision:
    row = run.first
    item = context.localizers.get(row["task"])
    if item is None:
        return False, NO_LOCALIZER
    planned, reason = context.done["resample"]
    if not planned:
        return False, reason
    if refused := _without_events(run, context, of="conditions"):
        return refused
    if item["column"] not in row["events_columns"]:
        return _unfit(
            context,
            f"{row['events']}: events have no column {item['column']!r} (they have: "
            f"{', '.join(row['events_columns'])}); see `rois.localizer.tasks`, `column`",
        )
    return True, ""


def _without_events(run: Run, context: Context, *, of: str) -> Decision | None:
    """Decide against a fit of a run whose events tell no trials or conditions, if so."""
    row = run.first
    if row["events"] is None:
        return False, "no events"
    if row["events_problem"]:
        return _unfit(context, f"{row['events']}: {row['events_problem']}")
    return None if row["n_events"] else (False, f"events without {of}")


def _unfit(context: Context, problem: str) -> Decision:
    """Decide against a fit because of a defect of the events, and note it."""
    context.problems.append(problem)
    return False, problem


RULES = {
    "fmap": lambda run, context: (
        (False, context.off["fmap"])
        if context.off["fmap"]
        else (medic_decision if context.medic else field_decision)(run)
    ),
    WARP: _warp,
    DYNAMIC: lambda run, context: (
        context.done["fmap"] if context.medic else change_decision(run, context.done["fmap"])
    ),
    "nordic": _nordic,
    "stc": _stc,
    "hmc": _hmc,
    "coreg": _coreg,
    "resample": _follows("coreg"),
    "optcom": _combination("optcom"),
    "ica": _combination("ica"),
    "confounds": _follows("resample"),
    LOCALIZER: _localizer,
    "singletrial": _singletrial,
}
