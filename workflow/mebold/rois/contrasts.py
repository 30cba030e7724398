"""Contrasts between the conditions of a localizer: the usual ones, and what a run has of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mebold.errors import ConfigError

#: Categories of which each is usually held against the others.
CATEGORIES = ("faces", "bodies", "scenes", "characters", "objects")
#: Usual pairs: name of the contrast to the condition and what it is held against.
PAIRS = {"intact": ("objects", "scrambled"), "motion": ("motion", "static")}
OTHERS = "others"
_KEY = "Configuration key `rois.localizer.tasks`"
_NAMED = 3  # files in a message


@dataclass(frozen=True)
class Contrast:
    """The mean of some conditions less the mean of others.

    Attributes
    ----------
    of, against : tuple of str
        Conditions; with nothing in `against` they are held against the baseline.
    """

    of: tuple[str, ...]
    against: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the contrast as people write it."""
        return " + ".join(self.of) + " > " + (" + ".join(self.against) or "baseline")


def labels(values: Iterable[object], baseline: Collection[str]) -> list[str]:
    """Return the labels in a column of events, each once; without those of the baseline."""
    texts = (str(value).strip() for value in values)
    without = {name.lower() for name in baseline} | {"nan", ""}
    return list(dict.fromkeys(text for text in texts if text.lower() not in without))


def conditions(labels: Iterable[str], groups: Mapping[str, Collection[str]]) -> dict[str, tuple]:
    """Return the conditions that contrasts may name, each with the labels in the events.

    Parameters
    ----------
    labels : iterable of str
        Labels of the events.
    groups : mapping of str to collection of str
        Condition to several labels, such as faces to adult and child.

    Returns
    -------
    dict of str to tuple of str
        Every label by its own name, and the groups with those of their labels that are there.
    """
    labels = list(dict.fromkeys(labels))
    joined = {name: tuple(x for x in own if x in labels) for name, own in groups.items()}
    return {label: (label,) for label in labels} | {n: own for n, own in joined.items() if own}


def of_task(
    known: Collection[str], own: Mapping[str, Mapping], *, usual: bool = True
) -> dict[str, Contrast]:
    """Return the contrasts of a task: its own, and the usual ones that its conditions allow.

    Parameters
    ----------
    known : collection of str
        Conditions of all of its runs, see `conditions`.
    own : mapping of str to mapping
        Name to ``of`` and ``against``, lists of conditions; ``against: others`` are the other
        categories that are there, or without categories all other conditions.
    usual : bool
        Whether the usual ones are made as well; one of the same name in `own` takes their place.
    """
    there = [name for name in CATEGORIES if name in known]
    found = {}
    if usual and len(there) > 1:
        found = {c: Contrast((c,), tuple(x for x in there if x != c)) for c in there}
    if usual:
        pairs = {n: pair for n, pair in PAIRS.items() if set(pair) <= set(known)}
        found |= {name: Contrast((of,), (against,)) for name, (of, against) in pairs.items()}
    for name, item in own.items():
        against = item["against"]
        if against == OTHERS:
            against = [x for x in there or known if x not in item["of"]]
        found[name] = Contrast(tuple(item["of"]), tuple(against))
    return found


def check(task: Mapping, labels: Mapping[str, Collection[str]]) -> None:
    """Check that each condition that a task's section names is in some run of its task.

    Parameters
    ----------
    task : mapping
        Item of ``rois.localizer.tasks``.
    labels : mapping of str to collection of str
        Events file to the labels in it.

    Raises
    ------
    ConfigError
        Naming the files, the conditions that exist and the key.
    """
    there = sorted(set().union(*labels.values()))
    known = conditions(there, task["conditions"])
    where = ", ".join(list(labels)[:_NAMED])
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    told = f"{where}{more} (column `{task['column']}`) have: {', '.join(there) or 'none'}."
    for name, group in task["conditions"].items():
        for label in group:
            if label not in there:
                raise ConfigError(
                    f"{_KEY}: task {task['task']}: `conditions`: {name}: no run has the condition "
                    f"{label!r}; {told}"
                )
    for name, item in task["contrasts"].items():
        sides = [*item["of"], *(item["against"] if item["against"] != OTHERS else ())]
        for one in sides:
            if one not in known:
                raise ConfigError(
                    f"{_KEY}: task {task['task']}: contrast {name}: no run has the condition "
                    f"{one!r}; {told}"
                )
    if not of_task(known, task["contrasts"], usual=task["usual"]):
        raise ConfigError(
            f"{_KEY}: task {task['task']} has no contrast: its conditions are none of the usual "
            f"ones ({', '.join(CATEGORIES)}, scrambled, motion, static); {told} Give `contrasts`, "
            "or join labels under these names in `conditions`."
        )


def weights(
    contrast: Contrast, labels: Collection[str], groups: Mapping[str, Collection[str]]
) -> tuple[dict[str, float], list[str]]:
    """Return the weight of every label of a run in a contrast.

    Parameters
    ----------
    contrast : Contrast
    labels : collection of str
        Labels of the run.
    groups
        See `conditions`.

    Returns
    -------
    weights : dict of str to float
        Each side of the contrast sums to 1 (-1); a condition of several labels is their mean, so
        that none counts for more because its labels are more. Empty when `lacking` is not.
    lacking : list of str
        Conditions that the run does not have.
    """
    known = conditions(labels, groups)
    lacking = [name for name in (*contrast.of, *contrast.against) if name not in known]
    found: dict[str, float] = {}
    if lacking:
        return found, lacking
    for side, sign in ((contrast.of, 1.0), (contrast.against, -1.0)):
        for name in side:
            share = sign / len(side) / len(known[name])
            for label in known[name]:
                found[label] = found.get(label, 0.0) + share
    return found, lacking
