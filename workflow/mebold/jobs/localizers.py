"""Localizer tasks: which runs are fitted together, and which contrasts they have."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from mebold.errors import ConfigError
from mebold.files import bids
from mebold.files.tables import read_tsv
from mebold.jobs.index import Index
from mebold.plan import conditions
from mebold.plan.stages import LOCALIZER
from mebold.rois import contrasts


class Localizers:
    """Look-ups by group (a session's runs of one task) and by subject's task.

    Parameters
    ----------
    index : Index
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._tasks = {item["task"]: item for item in index.config["rois"]["localizer"]["tasks"]}
        self._stems = defaultdict(list)
        for stem in index.stems():
            if stem in index.planned[LOCALIZER]:
                self._stems[index.runs[stem].group].append(stem)

    def stems(self, group: str) -> list[str]:
        """Return the runs of a group."""
        return self._stems[group]

    def tasks(self, sub: str | None = None) -> dict[str, list[str]]:
        """Return the groups of each subject's localizer task, of one subject or of all."""
        found = defaultdict(list)
        for group, stems in self._stems.items():
            if sub in (None, self._index.subject(stems[0])):
                found[self._index.subject_task(group)].append(group)
        return dict(found)

    def settings(self, group: str, *keys: str) -> dict:
        """Return keys of the item of ``rois.localizer.tasks`` that a group belongs to."""
        item = self._tasks[self._index.row(self._stems[group][0])["task"]]
        return {key: item[key] for key in keys}

    def contrasts(self, group: str) -> dict[str, dict[str, list[str]]]:
        """Return the contrasts of a group, ``of`` and ``against``: the same in all sessions.

        Those that the conditions of all runs of the subject's task allow; where the run table does
        not tell labels, those that the conditions of the configuration do.
        """
        item = self._tasks[self._index.row(self._stems[group][0])["task"]]
        own = self.tasks()[self._index.subject_task(group)]
        runs = [self._index.runs[stem] for one in own for stem in self._stems[one]]
        labels = conditions.of_runs(runs, item)
        known: Collection[str] = item["conditions"]
        if labels is not None:
            known = contrasts.conditions(labels, item["conditions"])
        found = contrasts.of_task(known, item["contrasts"], usual=item["usual"])
        return {n: {"of": list(one.of), "against": list(one.against)} for n, one in found.items()}

    def fits(self, sub: str) -> dict[str, dict]:
        """Return ``task`` and ``contrasts`` (names) of each localizer task of a subject."""
        return {
            subtask: {**self.settings(own[0], "task"), "contrasts": list(self.contrasts(own[0]))}
            for subtask, own in self.tasks(sub).items()
        }


def finished(output_dir: str | Path, sub: str) -> dict[str, dict]:
    """Return the fits that earlier calls left of a subject, as `Localizers.fits` does.

    A call that labels restrict to other tasks finds regions in them as before.
    """
    found = {}
    for table in Path(output_dir, "localizers", sub).glob("*_desc-localizer_contrasts.tsv"):
        subtask = table.name.partition("_desc-")[0]
        names = read_tsv(table)["contrast"].tolist()
        found[subtask] = {"task": bids.parse(table.name)["task"], "contrasts": names}
    return found


def check(section: Mapping) -> None:
    """Refuse tasks that are given twice, and regions that no map can give.

    Parameters
    ----------
    section : mapping
        ``rois.localizer`` of the configuration.

    Raises
    ------
    ConfigError
        Naming key and region.
    """
    tasks = [item["task"] for item in section["tasks"]]
    key = "Configuration key `rois.localizer"
    for task in tasks:
        if tasks.count(task) > 1:
            raise ConfigError(f"{key}.tasks`: {task} is given twice; give it once.")
    for item in section["regions"]:
        name = item["name"]
        if ("map" in item) == ("contrast" in item):
            raise ConfigError(
                f"{key}.regions`: {name} needs either `contrast` (of `rois.localizer.tasks`) or "
                "`map` (an image of another program)."
            )
        if "contrast" in item and not tasks:
            raise ConfigError(
                f"{key}.regions`: {name}: contrast {item['contrast']}, and `rois.localizer.tasks` "
                "is empty; name the task, or give a `map`."
            )
        if "task" in item and item["task"] not in tasks:
            raise ConfigError(
                f"{key}.regions`: {name}: task {item['task']} is none of `rois.localizer.tasks`; "
                f"there are {', '.join(tasks) or 'none'}."
            )


def fit_of(item: Mapping, fitted: Mapping[str, Mapping] | None, sub: str) -> list[str]:
    """Return the file of the fit with the contrast of a region; none for a subject without runs."""
    asked = {p: f for p, f in (fitted or {}).items() if item.get("task", f["task"]) == f["task"]}
    having = [path for path, fit in asked.items() if item["contrast"] in fit["contrasts"]]
    where = f"Configuration key `rois.localizer.regions`: {item['name']}: contrast"
    if asked and not having:
        known = sorted({name for fit in asked.values() for name in fit["contrasts"]})
        raise ConfigError(
            f"{where} {item['contrast']} is none of {sub}: there are {', '.join(known) or 'none'}."
        )
    if len(having) > 1:
        raise ConfigError(
            f"{where} {item['contrast']} is made of several tasks or acquisitions of {sub}: "
            f"{', '.join(Path(path).stem for path in having)}; give `task`, or take one out by "
            "`exclude`."
        )
    return having
