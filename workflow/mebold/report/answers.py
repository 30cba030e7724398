"""The four questions of a page: usable, which variant, where is the ceiling high, what lacks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from mebold.inventory.findings import named
from mebold.plan.text import CHOSEN
from mebold.report import verdict
from mebold.report.folder import Folder, number
from mebold.report.plan import Planned
from mebold.report.status import WAITING, Failure
from mebold.report.study import RunRecord, Study, Subject
from mebold.variants import datasets, in_words

_PRICE = (
    ("signal_kept", "keeps {:.0f} % of the response to images"),
    ("smoothness_growth", "is {:.0f} % smoother"),
    ("responsive_kept", "keeps {:.0f} % of the responsive voxels"),
)
# Stages for people, where their names say little.
_WORDS = {
    "anat": "anatomy",
    "fmap": "distortion correction",
    "stc": "slice timing",
    "hmc": "head motion",
    "coreg": "alignment",
    "resample": "interpolation",
    "optcom": "combination of echoes",
    "ica": "ICA",
    "nordic": "NORDIC",
    "singletrial": "single-trial fit",
    "noiseceiling": "noise ceiling",
    "across_sessions": "noise ceiling over sessions",
    "compare": "comparison",
    "rois": "regions",
}
_NAMED = 2  # runs or jobs in the words of an answer; the details name all


@dataclass
class Answer:
    """An answer: a sentence, what speaks for it, and how it is to be taken.

    Attributes
    ----------
    question : str
    short : str
        The answer in a few words.
    details : list of str
    level : str
        One of `verdict.LEVELS`: how much it asks for attention.
    link : str
        Anchor in the page.
    """

    question: str
    short: str
    details: list[str] = field(default_factory=list)
    level: str = verdict.NONE
    link: str = ""


def usable(
    runs: Sequence[RunRecord], *, without: Collection[str] = (), left_out: int = 0
) -> Answer:
    """Say how many runs are good, and what speaks against the others."""
    question = "Are the runs usable?"
    if not runs:
        none = f"None: {left_out} left out." if left_out else "There is no run."
        return Answer(question, none, level=verdict.BAD, link="runs")
    counts = verdict.tally(run.verdict for run in runs)
    words = {
        verdict.GOOD: "good",
        verdict.LOOK: "to look at",
        verdict.BAD: "bad",
        verdict.NONE: "not processed yet",
    }
    total = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    if set(counts) == {verdict.GOOD}:
        short = f"Yes: all {total} good." if len(runs) > 1 else "Yes: the run is good."
    else:
        said = []
        for level, n in counts.items():
            names = [_short(run.name, without) for run in runs if run.verdict.level == level]
            which = f" ({', '.join(names)})" if level != verdict.GOOD and n <= _NAMED else ""
            said.append(f"{n} {words[level]}{which}")
        short = f"{total}: {', '.join(said)}."
    details = []
    for level in (verdict.BAD, verdict.LOOK):
        for run in runs:
            if run.verdict.level == level:
                name = _short(run.name, without)
                first, *more = [text for _, text in run.verdict.reasons]
                also = f" (and {len(more)} more)" if more else ""
                details.append(f"{level}: {name}: {first}{also}")
    worst = next((level for level in verdict.LEVELS if level in counts), verdict.NONE)
    return Answer(question, short, details, worst, "runs")


def variant(study: Study, subject: str = "") -> Answer:
    """Say which variant the comparison supports, and what the primary one costs.

    Parameters
    ----------
    study : Study
    subject : str
        With the ``sub-`` prefix; its own sessions for the price. Empty takes all subjects.
    """
    question = "Which variant, and at what price?"
    folder, primary = study.folder, study.primary
    link = "variant" if subject else "comparison"
    details, levels, shorts, supports = [], [], [], []
    for owner in folder.owners:
        if not owner.startswith("task-"):
            continue
        advice = folder.json(owner, r"desc-variants_advice\.json", "comparison")
        if not advice:
            continue
        supported, task = advice.get("Supported"), advice.get("Task") or owner
        if supported is None:
            shorts.append(f"The comparison supports none; {primary} is made.")
            levels.append(verdict.LOOK)
        elif advice.get("Change"):
            supports.append(supported)
            dear = " at a high price" if advice.get("Warnings", {}).get(supported) else ""
            shorts.append(f"{supported}{dear}, not the configured {primary}.")
            levels.append(verdict.LOOK)
        else:
            tied = advice.get("AsGoodAsBest") or []
            sure = "" if len(tied) < 2 else f" (no better: {len(tied)} cannot be told apart)"
            shorts.append(f"{primary}, as configured{sure}.")
            levels.append(verdict.GOOD)
        details.append(f"{task}: {advice.get('Description', '')}")
        if advice.get("Warnings", {}).get(primary):
            levels.append(verdict.LOOK)
    prices = _prices(study, list(dict.fromkeys([*supports, primary])), subject)
    for one, price in prices.items():
        if price:
            said = [words.format(price[metric]) for metric, words in _PRICE if metric in price]
            details.append(f"Price of {one}: it {', '.join(said)}.")
    if not shorts:
        why = _not_yet(study.planned, "compare", study.failures)
        compared = f"the comparison is not made yet: {why}" if why else "variants were not compared"
        words = f"{primary} ({in_words(primary)}); {compared}."
        return Answer(question, words, details, verdict.NONE, link)
    level = next((one for one in verdict.LEVELS if one in levels), verdict.NONE)
    if subject and not any(prices.values()):
        shorts.append("Other subjects show it: this one was not compared.")
        level = verdict.NONE
    short = " ".join([*dict.fromkeys(shorts), *_kept(prices)])
    return Answer(question, short, details, level, link)


def _kept(prices: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say in a sentence what share of the response variants keep; in none where it is not known."""
    metric, words = _PRICE[0]
    known = {name: price[metric] for name, price in prices.items() if metric in price}
    if not known:
        return []
    first, *others = known
    whose = "It" if len(prices) == 1 else first
    also = [f"{name} {known[name]:.0f} %" for name in others]
    return [", ".join([f"{whose} {words.format(known[first])}", *also]) + "."]


def _prices(study: Study, names: Sequence[str], subject: str) -> dict[str, dict[str, float]]:
    """Return what variants cost: by name and metric the means over the compared sessions."""
    label = subject.removeprefix("sub-")
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for row in study.folder.read_tsv("comparison/desc-variants_metrics.tsv"):
        value = number(row["value"])
        of_it = row["variant"] in found and (not label or row["subject"] == label)
        if of_it and value is not None:
            found[row["variant"]].setdefault(row["metric"], []).append(value)
    metrics = [metric for metric, _ in _PRICE]
    return {
        name: {metric: fmean(values[metric]) for metric in metrics if metric in values}
        for name, values in found.items()
    }


def regions(study: Study, subject: str) -> list[dict]:
    """Return the noise ceilings of a subject's regions, of the primary variant, highest first.

    Over all sessions where there is such a map, else of the last session that has one.
    """
    glm = datasets(study.primary)[1]
    rows = []
    for owner in study.folder.owners:
        if f"{owner}_".startswith(f"{subject}_"):
            for file in study.folder.find(owner, r"desc-Noiseceiling_rois\.tsv"):
                rows += [row | {"owner": owner} for row in study.folder.read_tsv(file.path)]
    rows = [row for row in rows if row["variant"] in (study.primary, glm)]
    chosen = [row for row in rows if row["map"] == "NoiseceilingAllrep"]
    if not chosen:
        single = [row for row in rows if row["map"] == "Noiseceiling"]
        last = max((row["session"] for row in single), default="")
        chosen = [row for row in single if row["session"] == last]
    chosen = [row for row in chosen if number(row["median"]) is not None]
    # Voxels that were chosen by their ceiling have a high one, whatever they are.
    chosen = [row for row in chosen if row.get("category") != "data"]
    return sorted(chosen, key=lambda row: -(number(row["median"]) or 0))


def with_data(row: Mapping[str, str]) -> str:
    """Return how many voxels of a region the numbers of its row are of."""
    return row.get("n_data") or row["n_voxels"]


def share_above_chance(row: Mapping[str, str]) -> float | None:
    """Return the percent of a region's voxels above chance; None where the table has none."""
    share = number(row.get("share_significant"))
    return None if share is None else 100 * share


def ceiling(study: Study, subject: Subject) -> Answer:
    """Say in which region the noise ceiling is highest, and where it is above chance."""
    question = "Where is the noise ceiling high?"
    best = regions(study, subject.name)
    glm = datasets(study.primary)[1]
    shares = []
    for owner in _tasks_of(study.folder, subject):
        about = study.folder.json(owner, r"space-\w+_desc-NoiseceilingAllrep_statmap\.json", glm)
        if not about:
            about = study.folder.json(owner, r"space-\w+_desc-Noiseceiling_statmap\.json", glm)
        if (share := number(about.get("ShareSignificant"))) is not None:
            shares.append((100 * share, about, owner))
    if not best and not shares:
        why = _not_yet(subject.planned, "noiseceiling", subject.failures)
        lacks = f"No noise ceiling of {study.primary} yet: {why}."
        words = lacks if why else "No noise ceiling was made."
        return Answer(question, words, link="noiseceiling")
    said, details = [], []
    if best:
        top = best[0]
        said.append(f"{top['roi']}: median {float(top['median']):.0f} %")
        details += [
            f"{row['roi']}: median {float(row['median']):.1f} %, 90th percentile "
            f"{number(row['p90']) or 0:.1f} %, {with_data(row)} voxels{_above(row)} "
            f"({row['map']}, {'all sessions' if row['session'] == 'all' else row['session']})"
            for row in best
        ]
    level = verdict.GOOD if shares or best else verdict.NONE
    if shares:
        share, about, owner = shares[0]
        sure = f"{share:.1f} % of the brain above chance" if share else "nowhere above chance"
        rate = number(about.get("FalseDiscoveryRate"))
        said.append(sure if rate is None else f"{sure} (false discovery rate {100 * rate:g} %)")
        level = verdict.GOOD if share else verdict.LOOK
        if (limit := number(about.get("ChanceThreshold"))) is not None:
            details.append(f"{owner}: 5 % of voxels pass {limit:.1f} % by chance.")
    return Answer(question, "; ".join(said) + ".", details, level, "noiseceiling")


def lacking(
    failures: Sequence[Failure],
    left_out: Sequence[dict],
    runs: Sequence[RunRecord],
    planned: Iterable[Planned],
    *,
    without: Collection[str] = (),
) -> Answer:
    """Say what failed, what was left out, and what the data or the settings do not allow."""
    question = "What failed or was skipped?"
    skipped, chosen = _skipped(planned, without)
    details = [f"failed: {_job(f, without)}: {f.message} [{f.log}]" for f in failures]
    details += [f"left out: {row['stem']}: {row['reason']}" for row in left_out]
    details += _told("skipped", skipped) + _told("not asked for", chosen)
    short = []
    if failures:
        which = [_job(failure, without) for failure in failures]
        which = f" ({', '.join(which)})" if len(which) <= _NAMED else ""
        short.append(f"{len(failures)} job{'s' * (len(failures) > 1)} failed{which}")
    if left_out:
        short.append(f"{len(left_out)} left out")
    if skipped:
        short.append(f"skipped: {', '.join(_stages(skipped, without))}")
    waiting = [run for run in runs if any(s.state == WAITING for s in run.states)]
    if waiting and not failures:
        short.append(f"not finished: {len(waiting)} run{'s' * (len(waiting) > 1)}")
    words = "; ".join(short) + "." if short else "Nothing: all that the data allow was done."
    level = verdict.BAD if failures else verdict.LOOK if short else verdict.GOOD
    return Answer(question, words, details, level, "skipped")


def _skipped(planned: Iterable[Planned], without: Collection[str]) -> tuple[dict, dict]:
    """Return what the data do not allow, and what the settings do not ask for.

    Each maps stage and reason to the names of runs, groups or subjects.
    """
    lacking: dict[tuple[str, str], list[str]] = {}
    chosen: dict[tuple[str, str], list[str]] = {}
    for one in planned:
        for stage, yes in one.stages.items():
            reason = one.reasons.get(stage, "")
            if yes or not reason:
                continue
            target = chosen if any(words in reason for words in CHOSEN) else lacking
            target.setdefault((stage, reason), []).append(_short(one.name, without))
    return lacking, chosen


def _stages(skipped: Mapping[tuple[str, str], list[str]], without: Collection[str]) -> list[str]:
    """Name the stages that were skipped, and what of, where that is not the whole page or long."""
    names: dict[str, list[str]] = {}
    for (stage, _), some in skipped.items():
        names.setdefault(_WORDS.get(stage, stage), []).extend(some)
    said = []
    for words, some in names.items():
        which = [name for name in dict.fromkeys(some) if name not in without]
        said.append(f"{words} ({', '.join(which)})" if 0 < len(which) <= _NAMED else words)
    return said


def _told(words: str, found: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """Say what was skipped, stages of one reason and the same runs together."""
    joined: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (stage, reason), names in found.items():
        joined.setdefault((reason, tuple(names)), []).append(stage)
    return [
        f"{words}: {', '.join(_WORDS.get(one, one) for one in stages)} of {named(names)}: {reason}"
        for (reason, names), stages in joined.items()
    ]


def of_subject(study: Study, subject: Subject) -> dict[str, Answer]:
    """Return the four answers for a subject."""
    without = _shared(subject.runs, subject.name)
    return {
        "usable": usable(subject.runs, without=without, left_out=len(subject.left_out)),
        "variant": variant(study, subject.name),
        "ceiling": ceiling(study, subject),
        "skipped": lacking(
            subject.failures,
            subject.left_out,
            subject.runs,
            subject.planned,
            without=without,
        ),
    }


def of_study(study: Study) -> dict[str, Answer]:
    """Return the four answers for the whole dataset."""
    subjects = list(study.subjects.values())
    runs = [run for subject in subjects for run in subject.runs]
    without = _shared(runs)
    return {
        "usable": usable(runs, without=without, left_out=len(study.left_out)),
        "variant": variant(study),
        "ceiling": _ceilings(study, subjects),
        "skipped": lacking(study.failures, study.left_out, runs, study.planned, without=without),
    }


def _ceilings(study: Study, subjects: Sequence[Subject]) -> Answer:
    """Say in whom and where the noise ceiling is highest."""
    own = {subject.name: ceiling(study, subject) for subject in subjects}
    made = {name: answer for name, answer in own.items() if answer.details}
    question = "Where is the noise ceiling high?"
    if not made:
        why = _not_yet(study.planned, "noiseceiling", study.failures)
        lacks = f"No noise ceiling of {study.primary} yet: {why}."
        words = lacks if why else "No noise ceiling was made."
        return Answer(question, words, link="subjects")
    tops = {name: rows[0] for name in made if (rows := regions(study, name))}
    high = sorted(tops, key=lambda name: -float(tops[name]["median"]))
    best = [(name, tops[name]) for name in high[:1]]
    said = [f"{row['roi']} of {name}: median {float(row['median']):.0f} %" for name, row in best]
    above = sum(answer.level == verdict.GOOD for answer in made.values())
    words = f"above chance in {above} of {len(made)} subject{'s' * (len(made) > 1)}"
    short = "; ".join([*said, words]) + "."
    details = [f"{name}: {made[name].short}" for name in (high or made)]
    return Answer(question, short, details, verdict.GOOD if above else verdict.LOOK, "subjects")


def _not_yet(planned: Iterable[Planned], stage: str, failures: Sequence[Failure]) -> str:
    """Say why a stage that is planned has no result; empty where it is not planned."""
    if not any(one.stages.get(stage) for one in planned):
        return ""
    if not failures:
        return "jobs before it are not done"
    owners = dict.fromkeys(one.owner.partition("_")[0] for one in failures if one.owner)
    return f"a job that it needs failed ({named(list(owners))})" if owners else "a job failed"


def _above(row: Mapping[str, str]) -> str:
    share = share_above_chance(row)
    return "" if share is None else f", {share:.0f} % of them above chance"


def _short(name: str, without: Collection[str]) -> str:
    """Return a name as people read it, without what goes without saying."""
    return " ".join(part for part in name.split("_") if part not in without) or name


def _shared(runs: Sequence[RunRecord], *more: str) -> set[str]:
    """Return the entities that go without saying: the task, where there is just one."""
    tasks = {f"task-{task}" for run in runs if (task := run.planned.labels.get("task"))}
    return {*more, *(tasks if len(tasks) == 1 else ())}


def _job(failure: Failure, without: Collection[str]) -> str:
    """Name a failed job."""
    of = f" of {_short(failure.owner, without)}" if failure.owner else ""
    return f"{failure.rule}{of}" + (f", {failure.what}" if failure.what else "")


def _tasks_of(folder: Folder, subject: Subject) -> list[str]:
    """Return what has noise ceilings: the subject's tasks over sessions first, then sessions."""
    owners = [o for o in folder.owners if o.startswith(f"{subject.name}_")]
    return sorted(owners, key=lambda owner: ("_ses-" in owner, owner))
