"""On a cluster: a cancelled job is not tried again, and no job runs beside one of a killed call.

Needs a Slurm that this user may send jobs to, and the environment that starts the workflow there.
"""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from snakemake_runner import REPOSITORY

pytestmark = pytest.mark.workflow

RUNNER = REPOSITORY / ".venv-runner/bin"
OPTIONS = [
    *("--executor", "slurm", "--jobs", "5", "--retries", "2", "--keep-going", "--nolock"),
    *("--rerun-incomplete", "--latency-wait", "5", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1"),
]
# As common.smk and the Snakefile of the workflow, with jobs that need none of its tools.
SNAKEFILE = """\
import sys
sys.path.insert(0, {library!r})
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from mebold.errors import MeboldError
from mebold.jobs import calls, failures
onstart:
    if workflow.is_main_process:
        try:
            calls.begin("out/work", log=next(iter(log), None))
        except MeboldError as error:
            raise WorkflowError(str(error)) from None
        failures.leave_cancelled(logger, workflow)
onsuccess:
    calls.end("out/work")
onerror:
    calls.end("out/work")
rule all:
    input: "cancelled.txt", "grows.txt"
rule cancelled:
    output: "cancelled.txt"
    resources: mem_mb=lambda wildcards, attempt: 700 * attempt, runtime=5
    shell: "if [ -e quick ]; then touch {{output}}; else sleep 120; fi"
rule grows:
    output: "grows.txt"
    resources: mem_mb=lambda wildcards, attempt: 700 * attempt, runtime=5
    shell: "if [ ! -e tried ]; then touch tried; exit 1; fi; touch {{output}}"
"""


@pytest.fixture
def start(tmp_path):
    if not (RUNNER / "snakemake").exists():
        pytest.skip("needs the environment of the executor: make runner")
    idle = shutil.which("sinfo") and subprocess.run(
        ["sinfo", "-h", "-t", "idle,mixed", "-o", "%n"], capture_output=True, text=True, check=False
    )
    if not idle or idle.returncode or not idle.stdout:
        pytest.skip("needs a Slurm cluster with an idle node (sinfo)")
    library = str(REPOSITORY / "workflow")
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(library=library))
    calls, path = [], f"{RUNNER}{os.pathsep}{os.environ['PATH']}"

    def call(*targets):
        with (tmp_path / "log.txt").open("w") as log:
            calls.append(
                subprocess.Popen(
                    [RUNNER / "snakemake", *targets, *OPTIONS], cwd=tmp_path, stdout=log,
                    stderr=log, env=os.environ | {"PATH": path}, start_new_session=True,
                )
            )  # fmt: skip
        return calls[-1]

    yield call
    for one in calls:
        if one.poll() is None:
            one.terminate()
            one.wait()


def said(tmp_path):
    return (tmp_path / "log.txt").read_text()


def wait_for(pattern, tmp_path, seconds=120):
    """Wait until the jobs of the call in the queue match; return the name of the call."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = re.search(r"SLURM run ID: (\S+)", said(tmp_path))
        if name and re.search(pattern, queue(name[1]), re.M):
            return name[1]
        time.sleep(0.5)
    raise AssertionError(said(tmp_path))


def queue(name, *options):
    command = ["squeue", "-h", "--name", name, "-o", "%A %T %k %m", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_cancelled_job_is_not_tried_again_and_one_that_failed_is(start, tmp_path):
    call = start()
    name = wait_for("RUNNING rule_cancelled", tmp_path)
    for line in queue(name).splitlines():
        if "rule_cancelled" in line:
            subprocess.run(["scancel", line.split()[0]], check=True)
    assert call.wait(timeout=300) == 1
    jobs = [line.split()[1:] for line in queue(name, "-t", "all").splitlines()]
    assert [job for job in jobs if job[1] == "rule_cancelled"] == [
        ["CANCELLED", "rule_cancelled", "700M"]
    ]
    assert ["COMPLETED", "rule_grows", "1400M"] in jobs
    assert (tmp_path / "grows.txt").exists()
    assert "CANCELLED" in said(tmp_path)


def test_a_call_after_a_kill_waits_for_the_jobs_that_are_left(start, tmp_path):
    call = start("cancelled.txt")
    name = wait_for("RUNNING rule_cancelled", tmp_path)
    os.killpg(call.pid, signal.SIGKILL)
    call.wait()
    assert start("cancelled.txt").wait(timeout=60) == 1
    assert f"scancel --name {name}" in said(tmp_path)
    assert "submitted" not in said(tmp_path)
    subprocess.run(["scancel", "--name", name], check=True)
    while queue(name):
        time.sleep(0.5)
    (tmp_path / "quick").touch()
    assert start("cancelled.txt").wait(timeout=300) == 0, said(tmp_path)
