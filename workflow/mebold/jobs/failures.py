"""Which jobs of a call failed, from what Snakemake logs: said last, and tried again or not."""

import logging
import re
from dataclasses import dataclass

_ERROR = re.compile(
    r"^Error in (?:group [^\n]*?rule |rule )(\w+)[^\n]*:\n((?:[ \t]+[^\n]*\n?)*)", re.M
)
_JOB = re.compile(r"^\s+jobid:\s+(\d+)", re.M)
_LOG = re.compile(r"^\s+log:\s+([^\s,]+)", re.M)


_CANCELLED = re.compile(r"SLURM status is: '(CANCELLED[^']*)'")


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes
    ----------
    rule : str
    log : str
        Its log file; empty where it has none.
    """

    rule: str
    log: str


def found_in(text: str) -> list[Failure]:
    """Return the failed jobs in the log of a call, each once, in their order.

    Parameters
    ----------
    text : str
        Log of Snakemake. A job that was tried again may have failed several times, or done well in
        the end.
    """
    failures = []
    for error in _ERROR.finditer(text):
        job, log = _JOB.search(error[2]), _LOG.search(error[2])
        if job and f"Finished jobid: {job[1]} " in text[error.end() :]:
            continue
        failures.append(Failure(error[1], log[1] if log else ""))
    return list(dict.fromkeys(failures))


def said(failures: list[Failure]) -> str:
    """Return the lines that name failed jobs and their logs; empty without any."""
    if not failures:
        return ""
    jobs = (
        f"{len(failures)} job{'s' * (len(failures) > 1)} failed; what does not need them is done:"
    )
    lines = [f"- {one.rule}: see {one.log or 'the messages above'}" for one in failures]
    return "\n".join([jobs, *lines, "The same call again goes on from here."])


def leave_cancelled(logger: logging.Logger, workflow: object) -> None:
    """Let jobs that somebody cancelled on the cluster fail at once.

    The executor reports a cancelled job as any that failed, and Snakemake would submit it again,
    with more memory, as often as its profile says. No option tells the two apart; the words of the
    executor do, which are logged before it is decided whether a job is tried again.

    Parameters
    ----------
    logger : Logger
        Of Snakemake.
    workflow : object
        Of Snakemake; its jobs and their ``attempt`` are used.
    """

    def look(record: logging.LogRecord) -> bool:
        if _CANCELLED.search(str(getattr(record, "rule_msg", ""))):
            for job in workflow.dag.jobs:
                if workflow.dag.jobid(job) == getattr(record, "jobid", None):
                    job.attempt = job.restart_times + 1  # the last that it has
        return True

    logger.addFilter(look)
