"""All that is known of an output folder: its subjects with runs, verdicts, states and notes."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mebold.report import configured, notes, plan, quality, status, verdict
from mebold.report.folder import Folder
from mebold.variants import VARIANTS, datasets


@dataclass
class RunRecord:
    """A run with what was measured and thought of it."""

    planned: plan.Planned
    numbers: dict[str, float | None]
    verdict: verdict.Verdict
    states: list[status.State]
    noted: list[notes.Note]
    acquired: dict

    @property
    def name(self) -> str:
        """Stem of the run."""
        return self.planned.name

    @property
    def subject(self) -> str:
        """With the ``sub-`` prefix."""
        return f"sub-{self.planned.labels['subject']}"


@dataclass
class Subject:
    """A subject: its runs, groups of runs, and what concerns all of them."""

    name: str
    runs: list[RunRecord] = field(default_factory=list)
    groups: list[plan.Planned] = field(default_factory=list)
    anatomy: plan.Planned | None = None
    left_out: list[dict] = field(default_factory=list)
    failures: list[status.Failure] = field(default_factory=list)
    noted: list[notes.Note] = field(default_factory=list)

    @property
    def planned(self) -> list[plan.Planned]:
        """Subject, runs and groups with their plans."""
        own = [self.anatomy] if self.anatomy else []
        return [*own, *(run.planned for run in self.runs), *self.groups]


class Study:
    """An output folder as the pages see it.

    Parameters
    ----------
    folder : Folder
    limits : mapping
        Limits of the verdict that the configuration does not name, see `verdict.LIMITS`.
    """

    def __init__(self, folder: Folder, limits: Mapping[str, float] | None = None) -> None:
        self.folder = folder
        self.config = configured.read(folder.root)
        chosen = self.config.get("report") or {}
        known = verdict.LIMITS | dict(limits or {})
        self.limits = {key: float(chosen.get(key, value)) for key, value in known.items()}
        self.planned, self.left_out = plan.read(folder)
        self.failures = status.failures(folder)

    @cached_property
    def primary(self) -> str:
        """Primary variant: that of the configuration, else the one that has preprocessed BOLD."""
        if name := self.config.get("primary_variant"):
            return name
        written = {f.dataset for o in self.folder.owners for f in self.folder.of(o)}
        made = [name for name in VARIANTS if datasets(name)[0] in written]
        return "nordicOptcom" if "nordicOptcom" in made or not made else made[-1]

    @cached_property
    def states(self) -> dict[str, list[status.State]]:
        """How far every run, group and subject has come."""
        written = self.config.get("write_bold") or ()
        known = {"primary": self.primary, "written": written}
        return status.states(self.folder, self.planned, self.failures, **known)

    @cached_property
    def dataset(self) -> str:
        """Dataset with the preprocessed BOLD that most runs have of the primary variant."""
        return datasets(self.primary)[0]

    @cached_property
    def subjects(self) -> dict[str, Subject]:
        """All subjects by name."""
        acquired = plan.acquisition(self.folder)
        found = {name: Subject(name) for name in plan.subjects(self.planned, self.left_out)}
        runs, groups = [], []
        for one in self.planned:
            subject = found[f"sub-{one.labels['subject']}"]
            if one.kind == "subject":
                subject.anatomy = one
            elif one.kind == "group":
                groups.append((subject, one))
                subject.groups.append(one)
            else:
                runs.append((subject, one))
        numbers = {one.name: self._numbers(one) for _, one in runs}
        same = defaultdict(list)
        for _, one in runs:
            same[one.labels["subject"], one.labels.get("task")].append(one.name)
        for subject, one in runs:
            alike = same[one.labels["subject"], one.labels.get("task")]
            others = [numbers[name] for name in alike if name != one.name]
            own = list(notes.of(self.folder, one.name))
            judged = verdict.judge(
                numbers[one.name],
                self.limits,
                warnings=[note.text for note in own if note.judges],
                failed=self._failed(one.name),
                others=others,
            )
            states = self.states.get(one.name, [])
            record = RunRecord(
                one, numbers[one.name], judged, states, own, acquired.get(one.name, {})
            )
            subject.runs.append(record)
        for subject in found.values():
            self._complete(subject)
        return found

    def _numbers(self, run: plan.Planned) -> dict[str, float | None]:
        found = quality.of_run(self.folder, run, dataset=self.dataset)
        glm = datasets(self.primary)[1]
        found["noise_ceiling_share"] = quality.ceiling_share(self.folder, run.group, glm)
        return found

    def _failed(self, name: str) -> list[str]:
        """Return the sentences on stages of a run that failed or wait for one that did."""
        said = []
        for state in self.states.get(name, []):
            if state.stage == "singletrial":
                continue  # of all runs of the session
            if state.state == status.FAILED:
                said.append(f"{state.stage} failed: {state.reason}")
            elif state.state == status.WAITING and state.log and state.reason not in said:
                said.append(state.reason)
        return said[:1]

    def _complete(self, subject: Subject) -> None:
        """Add what concerns sessions, groups and the subject."""
        prefix = f"{subject.name}_"
        runs = {run.name for run in subject.runs}
        subject.failures = [f for f in self.failures if f"{f.owner}_".startswith(prefix)]
        label = subject.name.removeprefix("sub-")
        subject.left_out = [row for row in self.left_out if row["subject"] == label]
        for owner in self.folder.owners:
            if owner not in runs and f"{owner}_".startswith(prefix):
                subject.noted += notes.of(self.folder, owner)
