"""Which jobs of a call failed, from what Snakemake logs: said last, and tried again or not."""

import logging
import re
import shutil
import subprocess
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
    executor do, which are logged before it is decided whether a job is tried again. Of a group of
    jobs they are lost, so that Slurm is asked.

    Parameters
    ----------
    logger : Logger
        Of Snakemake.
    workflow : object
        Of Snakemake; its jobs, the groups that they run in and their ``attempt`` are used.
    """
    dag = workflow.dag

    def look(record: logging.LogRecord) -> bool:
        of_group, tried = getattr(record, "job_error_info", None) or [], None
        if of_group and _state(getattr(record, "external_jobid", None)).startswith("CANCELLED"):
            number = of_group[0]["jobid"]
            tried = next(dag.get_job_group(job) for job in dag.jobs if dag.jobid(job) == number)
        elif _CANCELLED.search(str(getattr(record, "rule_msg", ""))):
            number = getattr(record, "jobid", None)
            tried = next((job for job in dag.jobs if dag.jobid(job) == number), None)
        if tried:
            tried.attempt = tried.restart_times + 1  # the last that it has
        return True

    logger.addFilter(look)


def _state(job: str | None) -> str:
    """Return the state of a Slurm job that ended; empty where neither program knows it."""
    job = str(job or "")
    for command in (
        ["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"],
        ["sacct", "--noheader", "--allocations", "--format=state", f"--jobs={job}"],
    ):
        if job and shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if state := done.stdout.strip():
                return state
    return ""
