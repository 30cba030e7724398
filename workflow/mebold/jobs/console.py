"""What a call says on the terminal: a line per job that names its run, and how long it all takes.

Snakemake prints ten lines per job, with a number for its name. Its log file keeps them.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

from mebold.jobs.script import whose
from mebold.progress import duration

_HANDLER = "DefaultStreamHandler"  # as Snakemake names its own
_REPLACED = ("job_info", "group_info", "job_finished", "job_error", "job_started", "progress")
_SELECTING = "Select jobs to execute..."
_FEWEST_DONE = 3


class Pace:
    """How long the jobs of a call take, and how long those that are left will.

    Parameters
    ----------
    rules : iterable of str
        Rule of each job that has to run.
    began_s : float
        When the call began, in seconds of any clock; later times are of the same.
    """

    def __init__(self, rules: Iterable[str], began_s: float) -> None:
        self._planned = Counter(rules)
        self.total = self._planned.total()
        self._began = began_s
        self._running: dict[int, tuple[str, float]] = {}
        self._spent: dict[str, list[float]] = {}
        self._failed: dict[int, str] = {}

    @property
    def done(self) -> int:
        """Jobs that ended well."""
        return sum(map(len, self._spent.values()))

    @property
    def failed(self) -> int:
        """Jobs whose last attempt failed."""
        return len(self._failed)

    def start(self, job: int, rule: str, now_s: float) -> None:
        """Note that a job begins, for the first time or once more."""
        self._failed.pop(job, None)
        self._running[job] = rule, now_s

    def end(self, job: int, now_s: float) -> float:
        """Note that a job ended well; return its seconds, 0 for one whose begin was not seen."""
        rule, since = self._running.pop(job, ("", now_s))
        if rule:
            self._spent.setdefault(rule, []).append(now_s - since)
        return now_s - since

    def fail(self, job: int) -> None:
        """Note that an attempt of a job failed."""
        rule, _ = self._running.pop(job, ("", 0.0))
        if rule:
            self._failed[job] = rule

    def remaining_s(self, now_s: float) -> float | None:
        """Estimate the seconds that are left; None before three jobs are done.

        Each job that is left counts as those of its rule did, or as all did, and as many at a
        time as until now.
        """
        spent = [seconds for found in self._spent.values() for seconds in found]
        if len(spent) < _FEWEST_DONE or now_s <= self._began:
            return None
        usual = sum(spent) / len(spent)
        mean = {rule: sum(found) / len(found) for rule, found in self._spent.items()}
        left = self._planned - Counter({rule: len(found) for rule, found in self._spent.items()})
        left -= Counter(self._failed.values())
        ahead = sum(count * mean.get(rule, usual) for rule, count in left.items())
        for rule, since in self._running.values():
            ahead -= min(now_s - since, mean.get(rule, usual))
        busy = sum(spent) + sum(now_s - since for _, since in self._running.values())
        at_once = max(1.0, busy / (now_s - self._began))
        return max(0.0, ahead) / at_once


class Lines(logging.Formatter):
    """Turns what Snakemake logs on jobs into lines for people; what it tells otherwise into none.

    Parameters
    ----------
    pace : Pace
    """

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace
        self._names: dict[int, str] = {}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; empty for one that says nothing new."""
        event, now = str(getattr(record, "event", "")), time.monotonic()
        said = ""
        if event == "job_info":
            name = _name(record.rule_name, record.wildcards)
            self._names[record.jobid] = name
            self._pace.start(record.jobid, record.rule_name, now)
            said = f"begins: {name}"
        elif event == "job_finished":
            seconds = self._pace.end(record.job_id, now)
            name = self._names.pop(record.job_id, "a job")
            said = f"done:   {name} ({duration(seconds)}); {self._whole(now)}"
        elif event == "job_error":
            self._pace.fail(record.jobid)
            name = self._names.pop(record.jobid, record.rule_name)
            logs = ", ".join(getattr(record, "log", None) or [])
            said = f"FAILED: {name}" + (f"; log: {logs}" if logs else "")
        return f"{time.strftime('%H:%M:%S')} {said}" if said else ""

    def _whole(self, now: float) -> str:
        pace = self._pace
        left = pace.remaining_s(now)
        said = f"{pace.done} of {pace.total} jobs ({100 * pace.done // max(1, pace.total)} %)"
        said += f", {pace.failed} failed" if pace.failed else ""
        return said + (f", about {duration(left)} left" if left else "")


class _Handler(logging.StreamHandler):
    """Writes lines, and nothing for an empty one."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if line:
            self.stream.write(f"{line}\n")
            self.flush()


def take_over(logger: logging.Logger, rules: Iterable[str]) -> None:
    """Let the terminal show one line per job instead of Snakemake's listings.

    The log file of Snakemake keeps everything, and so does a terminal that was asked for more
    (``--verbose``) or that another handler writes to (``--logger``). ``--quiet`` holds.

    Parameters
    ----------
    logger : Logger
        Of Snakemake.
    rules : iterable of str
        Rule of each job that will run.
    """
    handler = next((one for one in logger.handlers if one.name == _HANDLER), None)
    if handler is None or logger.level <= logging.DEBUG:
        return
    lines = _Handler(handler.stream)
    lines.name = f"{_HANDLER}OfJobs"
    lines.setFormatter(Lines(Pace(rules, time.monotonic())))
    for held_back in handler.filters:
        lines.addFilter(held_back)
    lines.addFilter(_about_jobs)
    handler.addFilter(lambda record: not _about_jobs(record))
    logger.addHandler(lines)


def _about_jobs(record: logging.LogRecord) -> bool:
    return str(getattr(record, "event", "")) in _REPLACED or record.msg == _SELECTING


def _name(rule: str, labels: Mapping[str, str]) -> str:
    named = whose(SimpleNamespace(rule=rule, wildcards=labels))
    return named.removeprefix("rule ")
