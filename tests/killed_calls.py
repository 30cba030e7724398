"""Calls of the workflow that are killed with -9 in the middle of a job."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from mebold import processes

REPOSITORY = Path(__file__).resolve().parents[1]


def start(cwd: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """Start a call in a process group of its own; what it says goes to a file in `cwd`."""
    cwd.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), *arguments]
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (cwd / "log.txt").open("a") as log:
        return subprocess.Popen(
            command, cwd=cwd, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | single | environment,
        )  # fmt: skip


def at_work(out: Path) -> set[str]:
    """Return the rules whose jobs say that they run."""
    rules = set()
    for path in (out / "work/.jobs").glob("*.json"):
        try:
            rules.add(json.loads(path.read_text())["Job"].split()[1])
        except (OSError, ValueError):  # it is being written, or has gone
            continue
    return rules


def kill_in_a_new_rule(
    call: subprocess.Popen, out: Path, hit: set[str], draw: random.Random
) -> set[str]:
    """Kill a call some time after a job of a rule that was not hit yet has begun.

    Returns
    -------
    set of str
        Rules that were at work then; empty where the call ended before.
    """
    while call.poll() is None:
        if at_work(out) - hit:
            time.sleep(draw.choice([0.0, draw.uniform(0, 0.5), draw.uniform(0, 3)]))
            struck = at_work(out)
            if call.poll() is None:
                os.killpg(call.pid, signal.SIGKILL)
            call.wait()
            _wait_for_its_jobs(out)
            return struck
        time.sleep(0.01)
    return set()


def _wait_for_its_jobs(out: Path) -> None:
    """Wait until what was killed is gone: a busy disk holds a process for seconds."""
    for path in (out / "work/.jobs").glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            claim = json.loads(path.read_text())
            until = time.monotonic() + 60
            while processes.started(claim["Process"]) == claim["Started"]:
                assert time.monotonic() < until, claim
                time.sleep(0.05)
