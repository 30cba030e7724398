"""A call of the workflow and its jobs: one call at a time writes into an output folder.

A call that is killed with ``-9`` leaves jobs behind: processes that nobody ended, and jobs of a
cluster that run or wait. The same jobs must not be started beside them, so that a call looks for
them first, and each job looks whether the call that started it is still the one at work.

What a killed job had written is removed by the next call. Each file of it is whole, but Snakemake
does a job again only when a file that something needs is missing: its figures would stay away.
"""

import contextlib
import getpass
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from mebold.errors import DataError
from mebold.files import atomic, lock, tables
from mebold.processes import started

_JOBS = ".jobs"
_CALL = "MEBOLD_CALL"  # who started a job, in its environment
_RUN_ID = re.compile(r"SLURM run ID: (\S+)")


def begin(work: str | Path, *, log: str | Path | None = None) -> None:
    """Take the lock of an output folder for this call, and tell its jobs so.

    Parameters
    ----------
    work : path-like
        Folder of the lock.
    log : path-like, optional
        Log of Snakemake, which names the jobs of this call on a cluster.

    Raises
    ------
    DataError
        When another call is at work, or jobs of one that was killed; with the commands that end
        them.
    """
    held = lock.holder(work)
    if not held or lock.ended(held):
        _refuse_orphans(Path(work), held)
    about = {"Folder": str(Path.cwd()), "Log": str(Path(log).absolute()) if log else None}
    try:
        lock.acquire(work, **about)
    except DataError as error:
        run = _run_id(held)
        cancel = f" Cancel its jobs first: scancel --name {run}" if run else ""
        raise DataError(f"{error}{cancel}") from None
    os.environ[_CALL] = _token(lock.holder(work))


def clear(work: str | Path) -> None:
    """Remove the outputs of jobs that were killed, before it is decided which jobs are needed.

    Nothing is done while another call, or a job that it left, is at work: `begin` says that.
    """
    work = Path(work)
    if not any((work / _JOBS).glob("*.json")) or _left(work, lock.holder(work))[0]:
        return
    try:
        lock.acquire(work)
    except DataError:
        return
    root = work.parent.resolve()
    for path in (work / _JOBS).glob("*.json"):
        for output in map(Path, _read(path).get("Outputs", [])):
            if output.parent.resolve().is_relative_to(root):
                atomic.remove_with_partials(output)
        path.unlink(missing_ok=True)
    lock.release(work)


def name() -> str | None:
    """Return the name of the call that this process belongs to; None outside of one."""
    return os.environ.get(_CALL)


def end(work: str | Path) -> None:
    """Give the lock back."""
    lock.release(work)


@contextlib.contextmanager
def working(work: str | Path, name: str, *, outputs: Iterable[str | Path] = ()) -> Iterator[None]:
    """Say, while a job runs, that it does.

    Parameters
    ----------
    work : path-like
        Folder of the lock.
    name : str
        Of the job, for people.
    outputs : iterable of path-like
        Of the job; see `clear`.

    Raises
    ------
    DataError
        When the call that started the job was killed, or another one is at work.
    """
    _refuse_the_late(Path(work))
    host, process = socket.gethostname(), os.getpid()
    files = [str(Path(path).absolute()) for path in outputs]
    about = {"Host": host, "Process": process, "Started": started(process), "Job": name}
    about |= {"Slurm": os.environ.get("SLURM_JOB_ID"), "Outputs": files}
    # One file for a job, however often it is tried: the last attempt counts.
    key = hashlib.sha256("\n".join(files or [f"{host} {process}"]).encode()).hexdigest()[:16]
    path = Path(work) / _JOBS / f"{key}.json"
    tables.write_json(path, about)
    try:
        yield
    finally:
        if _read(path).get("Process") == process:
            path.unlink(missing_ok=True)


def _token(held: dict) -> str:
    return f"{held.get('Host')} {held.get('Process')} {held.get('Started')}"


def _refuse_the_late(work: Path) -> None:
    """Stop a job that begins when its call is gone: it waited in a queue, or was just starting."""
    call = os.environ.get(_CALL)
    if not call:
        return
    host, process, since = call.split(" ", 2)
    held = lock.holder(work)
    gone = host == socket.gethostname() and started(int(process)) != since
    if gone or (held and _token(held) != call):
        raise DataError(
            f"the call that started this job (process {process} on {host}) has ended, and its jobs "
            "are left to the next one. Nothing was written."
        )


def _refuse_orphans(work: Path, held: dict) -> None:
    """Raise where jobs of a killed call still run or wait."""
    lines, run, queue = _left(work, held)
    if not lines:
        return
    if run and queue is None:
        lines.append(f"- then, as this machine has no squeue to see that they ended: {_undo(work)}")
    raise DataError(
        f"jobs of an earlier call, which was killed, still work in {work.parent}:\n"
        + "\n".join(lines)
        + "\nWait for them or end them so, then make the same call again."
    )


def _left(work: Path, held: dict) -> tuple[list[str], str | None, dict[str, str] | None]:
    """Return what ends the jobs that a killed call left, a line each; its name and the queue."""
    claims = {path: _read(path) for path in (work / _JOBS).glob("*.json")}
    queue, run = None, _run_id(held)
    if run or any(claim.get("Slurm") for claim in claims.values()):
        queue = _queue()
    here, elsewhere = [], []
    for path, claim in claims.items():
        if claim.get("Host") == socket.gethostname():
            if started(claim["Process"]) == claim["Started"]:
                here.append(claim)
        elif claim and (queue is None or claim.get("Slurm") in queue):
            elsewhere.append((path, claim))
    lines = [f"- {one['Job']}: kill {one['Process']}" for one in here]
    waiting = sorted(job for job, name in (queue or {}).items() if name == run)
    if run and (waiting or queue is None):
        which = f"Slurm jobs {', '.join(waiting)}" if waiting else "its Slurm jobs, if it had any"
        lines.append(f"- {which}: scancel --name {shlex.quote(run)}")
    elif elsewhere:
        lines += [
            f"- {one['Job']} on {one['Host']}: end it there, or, if it has ended, remove what it "
            f"wrote ({', '.join(one.get('Outputs', [])[:1])} ...) and {path}"
            for path, one in elsewhere
        ]
    return lines, run, queue


def _undo(work: Path) -> str:
    return shlex.join(["rm", str(work / ".lock.json")])


def _run_id(held: dict) -> str | None:
    """Return the name that the jobs of a call have on a Slurm cluster."""
    try:
        found = _RUN_ID.findall(Path(held["Log"]).read_text())
    except (KeyError, TypeError, OSError):
        return None
    return found[-1] if found else None


def _queue() -> dict[str, str] | None:
    """Return my jobs that run or wait on the cluster: number to name; None where unknown."""
    if not shutil.which("squeue"):
        return None
    command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A %j"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
