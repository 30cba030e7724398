"""What is done, running, failed or waiting: of every subject, run and group, from its files."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mebold.files import lock
from mebold.report.folder import Folder, split
from mebold.report.plan import Planned, variants_of
from mebold.variants import VARIANTS, datasets

DONE, RUNNING, FAILED, WAITING, SKIPPED = "done", "running", "failed", "waiting", "not planned"
#: Stage -> folders of the logs of its jobs, and the file that says that it is done.
MARKS = {
    "anat": (("mp2rage", "anat", "template"), r"desc-preproc_T1w\.nii\.gz"),
    "fmap": (("sdc",), r"desc-sdc_boldref\.nii\.gz"),
    "gradunwarp": (("gradunwarp",), r"desc-unwarped_boldref\.nii\.gz"),
    "sdc_dynamic": (("sdc_dynamic",), r"desc-change_fieldmap\.nii\.gz"),
    "nordic": (
        ("nordic_gfactor", "nordic", "nordic_survival"),
        # Not its image, which `nordic.write: []` does not keep.
        r"(echo-\w+_)?part-mag_desc-nordic_bold\.json",
    ),
    "hmc": (("hmc",), r"desc-hmc_boldref\.nii\.gz"),
    "coreg": (("coreg_run",), r"from-boldref_to-\w+_mode-image_desc-coreg_xfm\.txt"),
    "resample": (("series",), ""),
    "stc": ((), ""),
    "optcom": (("optcom", "bold"), r"space-\w+_desc-(optcom|denoised|preproc)_bold\.nii\.gz"),
    "ica": (("ica", "ica_tables"), r"desc-ICA_outcome\.json"),
    "confounds": (("confounds",), r"desc-confounds_timeseries\.tsv"),
    "localizer": (("localizer_glm",), r"desc-localizer_glm\.json"),
    "singletrial": (("singletrial", "quality"), r"desc-GLMsingle_summary\.json"),
    "noiseceiling": (
        ("noiseceiling/session", "template_maps"),
        r"space-\w+_desc-Noiseceiling_statmap\.nii\.gz",
    ),
    "across_sessions": (("noiseceiling/subject",), r"desc-GLMsingle_summary\.json"),
    "compare": (("compare",), r"desc-variants_metrics\.tsv"),
    "rois": (("rois", "roi_masks", "localizer_maps"), r"desc-Noiseceiling_rois\.tsv"),
}  # fmt: skip
#: Stage -> jobs of a session or subject that a run needs for it.
SHARED = {
    "fmap": ("fmap",),
    "coreg": ("anat", "coreg_subject", "coreg_session"),
    "resample": ("grid", "template"),
    "optcom": ("decay",),
}
# What resampling leaves lies in `work`, which may be deleted.
_AFTER_RESAMPLING = ("optcom", "ica", "confounds")
_ERROR = re.compile(r"^\S+ \S+ mebold\.job ERROR (.*)$", re.M)
FAILURES = "failures.json"
#: Reason of a stage that could run and that no variant of its session needs.
UNUSED = "no variant of this session asks for it"


@dataclass(frozen=True)
class Failure:
    """A job whose last attempt failed.

    Attributes
    ----------
    rule : str
        Folder of its log: the rule, mostly.
    owner : str
        Run, group, session or subject that it worked on; empty for one of the whole dataset.
    what : str
        Its further labels: echo, level of thermal noise, dataset.
    log : str
        Relative to the output folder.
    message : str
        First line of the error.
    """

    rule: str
    owner: str
    what: str
    log: str
    message: str

    @property
    def name(self) -> str:
        """Rule, run and labels as people read them."""
        of = f" of {self.owner}" if self.owner else ""
        return f"{self.rule}{of}" + (f" ({self.what})" if self.what else "")


@dataclass(frozen=True)
class State:
    """How far a stage has come, and why not further."""

    stage: str
    state: str
    reason: str = ""
    log: str = ""


def failures(folder: Folder) -> list[Failure]:
    """Return the jobs whose last attempt failed, by their logs and by what the last call kept.

    A job starts its log anew, so an error in it is of the last attempt. A job that was killed
    leaves no error there: the call that saw it fail keeps its name.
    """
    logs = folder.root / "work" / "logs"
    found = {}
    for path in sorted(logs.rglob("*.log")) if logs.is_dir() else ():
        text = path.read_text(errors="replace") if path.stat().st_size else ""
        error = _ERROR.search(text)
        if error:
            said = error[1] if error[1] != "unexpected error" else _last_line(text)
            failure = _failure(path.relative_to(logs).as_posix(), said)
            found[failure.log] = failure
    for log in _kept(folder):
        message = "ended without a message: killed, or out of memory"
        failure = _failure(log, message)
        found.setdefault(failure.log, failure)
    return list(found.values())


def keep(work: str | Path, logs: Iterable[str]) -> None:
    """Keep the logs of the jobs that failed in a call, paths as Snakemake names them."""
    root = Path(work).resolve() / "logs"
    inside = [Path(log).resolve() for log in logs if log]
    names = [path.relative_to(root).as_posix() for path in inside if path.is_relative_to(root)]
    Path(work, FAILURES).write_text(json.dumps(sorted(set(names)), indent=2) + "\n")


def states(
    folder: Folder,
    planned: Iterable[Planned],
    failed: Iterable[Failure],
    *,
    primary: str,
    written: Sequence[str] = (),
    live: bool | None = None,
) -> dict[str, list[State]]:
    """Return how far the stages of everything planned have come.

    Parameters
    ----------
    folder : Folder
    planned : iterable of Planned
    failed : iterable of Failure
    primary : str
        Primary variant.
    written : sequence of str
        Variants besides it whose BOLD is written.
    live : bool, optional
        Whether a call is at work now; by its lock, if not given.

    Returns
    -------
    dict
        Name of the run, group or subject to one `State` per stage of its plan. A variant of a
        fit is a stage of its own, ``singletrial nordicOptcom``.
    """
    planned, failed = list(planned), list(failed)
    live = lock.held(folder.root / "work") if live is None else live
    groups = {one.name: one for one in planned if one.kind == "group"}
    look = _Look(folder, failed, live)
    found: dict[str, list[State]] = {}
    fitted: set[str] = set()
    for one in planned:
        rows = []
        made = {primary, *written, *variants_of(groups.get(one.group), primary)}
        for stage, yes in one.stages.items():
            if not yes:
                rows.append(State(stage, SKIPPED, one.reasons.get(stage, "")))
            elif one.kind == "run" and not _used(stage, made):
                rows.append(State(stage, SKIPPED, UNUSED))
            elif stage == "singletrial":
                fitted.add(one.group)
                rows.append(State(stage, DONE))  # of its group, below
            elif stage == "stc":
                rows.append(State(stage, DONE))  # part of resampling, below
            else:
                rows.append(look.state(one, stage))
        found[one.name] = _settled(rows)
    for name in sorted(fitted):
        group = groups.get(name) or _group_of(name, planned)
        fits = [look.fit(group, v, found, planned) for v in variants_of(groups.get(name), primary)]
        late = next((fit for fit in fits if fit.state != DONE and fit.log), None)
        after = [
            State(s.stage, WAITING, late.reason or _needs(late.stage), late.log)
            if late and s.state == WAITING and not s.reason
            else s
            for s in found.get(name, [])
        ]
        found[name] = [*fits, *after]
        for one in planned:
            if one.kind == "run" and one.group == name and one.stages.get("singletrial"):
                same = [s for s in found[one.name] if s.stage != "singletrial"]
                found[one.name] = [*same, _joint("singletrial", fits)]
    return found


class _Look:
    """Looks for the marks and logs of stages."""

    def __init__(self, folder: Folder, failed: list[Failure], live: bool) -> None:
        self.folder, self.failed, self.live = folder, failed, live
        self.logs = folder.root / "work" / "logs"

    def state(self, one: Planned, stage: str) -> State:
        """Return the state of a stage of a run, a group or a subject."""
        rules, mark = MARKS[stage]
        owner = one.group if stage == "localizer" else one.name
        if stage in ("across_sessions", "rois"):
            labels = one.labels
            owner = one.name.replace(f"_ses-{labels.get('session')}", "", 1)
        failure = next((f for f in self.failed if f.rule in rules and f.owner == owner), None)
        if failure:
            return State(stage, FAILED, failure.message, failure.log)
        for failure in self.failed:
            shared = failure.owner and f"{owner}_".startswith(f"{failure.owner}_")
            if shared and failure.rule in SHARED.get(stage, ()):
                reason = f"needs {failure.name}, which failed"
                return State(stage, WAITING, reason, failure.log)
        if stage == "resample":
            pattern = f"{one.name}_desc-*_summary.npz"
            done = any((self.folder.root / "work/series" / one.folder).glob(pattern))
        else:
            done = bool(self.folder.find(owner, mark))
        return State(stage, DONE) if done else self._under_way(stage, rules, one.folder, owner)

    def fit(self, group: Planned, variant: str, found: Mapping, planned: list[Planned]) -> State:
        """Return the state of the single-trial fit of a variant."""
        stage, name = f"singletrial {variant}", datasets(variant)[1]
        for failure in self.failed:
            if failure.owner == group.name and name in failure.log.split("/"):
                return State(stage, FAILED, failure.message, failure.log)
        if self.folder.find(group.name, MARKS["singletrial"][1], re.escape(name)):
            return State(stage, DONE)
        own = [one.name for one in planned if one.kind == "run" and one.group == group.name]
        stopped = [(run, s) for run in own for s in found.get(run, ()) if _stops(s, variant)]
        stopped.sort(key=lambda one: one[1].state != FAILED)
        if stopped:
            run, broken = stopped[0]
            failed = broken.state == FAILED
            reason = _needs(f"{broken.stage} of {run}") if failed else broken.reason
            return State(stage, WAITING, reason, broken.log)
        return self._under_way(stage, (f"singletrial/{name}",), group.folder, group.name)

    def _under_way(self, stage: str, rules: Iterable[str], folder: str, owner: str) -> State:
        for rule in rules:
            started = next((self.logs / rule / folder).glob(f"{owner}*.log"), None)
            if started is None:
                started = next((self.logs / rule).glob(f"{owner}.log"), None)
            if started and self.live:
                log = started.relative_to(self.folder.root).as_posix()
                return State(stage, RUNNING, "", log)
        return State(stage, WAITING)


def _used(stage: str, variants: Iterable[str]) -> bool:
    """Tell whether one of some variants needs a stage that not all need."""
    levels = [VARIANTS[name] for name in variants if name in VARIANTS]
    if stage == "nordic":
        return any(thermal == stage for thermal, _ in levels)
    return stage != "ica" or any(echoes == stage for _, echoes in levels)


def _stops(state: State, variant: str) -> bool:
    """Tell whether a failed stage of a run keeps a variant of its session from being fitted."""
    if not state.log or state.state not in (FAILED, WAITING):
        return False
    thermal, echoes = VARIANTS[variant]
    needed = {"nordic": thermal == "nordic", "optcom": echoes != "single", "ica": echoes == "ica"}
    return needed.get(state.stage, state.stage != "confounds")


def _settled(rows: list[State]) -> list[State]:
    """Say of waiting stages what they wait for, and let what came later show what was done."""
    late = [row for row in rows if row.stage in _AFTER_RESAMPLING and row.state == DONE]
    # What stops all that follows, and what stops some variants only.
    broken = aside = None
    settled = []
    for row in rows:
        if row.stage == "resample" and row.state == WAITING and late:
            row = State(row.stage, DONE)
        elif row.state == WAITING and (broken or aside) and not row.log:
            why = broken or aside
            reason = why.reason if why.state == WAITING else _needs(why.stage)
            row = State(row.stage, WAITING, reason, why.log)
        stops = row.state == FAILED and row.stage not in ("confounds", "ica", "nordic")
        if stops or (row.state == WAITING and row.log):
            broken = broken or row
        elif row.state == FAILED:
            aside = aside or row
        settled.append(row)
    resampled = next((row for row in settled if row.stage == "resample"), None)
    return [
        State(row.stage, resampled.state, resampled.reason, resampled.log)
        if row.stage == "stc" and row.state == DONE and resampled
        else row
        for row in settled
    ]


def _needs(stage: str) -> str:
    return f"needs {stage}, which failed"


def _joint(stage: str, states: list[State]) -> State:
    """Return the worst of some states as one."""
    order = (FAILED, RUNNING, WAITING, DONE)
    worst = min(states, key=lambda one: order.index(one.state))
    return State(stage, worst.state, worst.reason, worst.log)


def _group_of(name: str, planned: list[Planned]) -> Planned:
    run = next(one for one in planned if one.group == name)
    labels = {key: value for key, value in run.labels.items() if key != "run"}
    return Planned(name, "group", labels, name)


def _failure(log: str, message: str) -> Failure:
    *folders, file = log.split("/")
    owner, rest = split(file.removesuffix(".log") + "_")
    rule = "/".join(folders[:2]) if folders[:1] == ["noiseceiling"] else (folders or [rest])[0]
    labels = [part for part in folders[1:] if not re.match(r"(sub|ses)-", part)]
    labels = [part for part in labels if part not in ("session", "subject")]
    what = ", ".join([*labels, *([rest.strip("_")] if owner and rest.strip("_") else [])])
    return Failure(rule.strip("_"), owner, what, f"work/logs/{log}", message)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "unexpected error"


def _kept(folder: Folder) -> list[str]:
    try:
        names = json.loads((folder.root / "work" / FAILURES).read_text())
    except (OSError, ValueError):
        return []
    return [name for name in names if (folder.root / "work/logs" / name).exists()]
