"""On a real Slurm of two nodes, which the tests start themselves, with the profile as it is.

Skipped where Slurm's programs or root are missing (CONTRIBUTING.md says how to have them).
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm_cluster
from snakemake_runner import REPOSITORY

from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.workflow

# As common.smk and the Snakefile of the workflow, with jobs that need none of its tools. `grows`
# holds 600 MB beside the two Snakemake of its job, which are 180 MB each.
HOLD = "import time; held = bytes([1]) * (600 << 20); time.sleep(4)"
SNAKEFILE = """\
import sys
sys.path.insert(0, {library!r})
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from mebold.errors import MeboldError
from mebold.jobs import calls, failures
PYTHON = sys.executable
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
    input: "cancelled.txt", "grows.txt", "restarts.txt", "in_a_group.txt"
rule cancelled:
    output: "cancelled.txt"
    resources: mem_mb=lambda wildcards, attempt: 700 * attempt, runtime=5
    shell: "sleep 120; touch {{output}}"
rule grows:
    output: "grows.txt"
    resources: mem_mb=lambda wildcards, attempt: 700 * attempt, runtime=5
    shell: "{{PYTHON}} -c '{hold}'; touch {{output}}"
rule restarts:
    output: "restarts.txt"
    resources: mem_mb=700, runtime=5
    shell: "echo begun >> begun.txt; until [ -e go ]; do sleep 0.2; done; touch {{output}}"
rule optcom:
    output: "grouped.txt"
    resources: mem_mb=700, runtime=5
    shell: "sleep 120; touch {{output}}"
rule bold_single:
    input: "grouped.txt"
    output: "in_a_group.txt"
    resources: mem_mb=700, runtime=5
    shell: "touch {{output}}"
"""


@pytest.fixture(scope="module")
def cluster():
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.running() as cluster:
        yield cluster


@pytest.fixture
def place(tmp_path):
    """A clone of the repository, where a call is made as the README says."""
    for path in REPOSITORY.iterdir():
        if not path.name.startswith(".") and path.name not in ("demo", "group"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    return tmp_path


@pytest.fixture
def call(place):
    calls = []

    def start(*arguments):
        with (place / "log.txt").open("w") as log:
            calls.append(
                subprocess.Popen(
                    [".venv/bin/snakemake", "--profile", "slurm", *arguments], cwd=place,
                    stdout=log, stderr=log, start_new_session=True,
                    env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                )
            )  # fmt: skip
        return calls[-1]

    yield start
    for one in calls:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()


def said(place):
    return (place / "log.txt").read_text()


def queue(*options, form="%A %T %k %m %N"):
    command = ["squeue", "--noheader", "--format", form, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def wait_for(pattern, place, call, *options, seconds=180):
    """Wait until a line of the queue matches, while the call is at work; return its words."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and call.poll() is None:
        if lines := [line for line in queue(*options) if re.search(pattern, line)]:
            return lines[0].split()
        time.sleep(0.3)
    raise AssertionError(f"{said(place)}\n{queue('-t', 'all')}")


def test_memory_a_cancelled_job_and_a_node_that_restarts(cluster, place, call):
    (place / "Snakefile").unlink()
    library = str(REPOSITORY / "workflow")
    (place / "Snakefile").write_text(SNAKEFILE.format(library=library, hold=HOLD))
    running = call()
    for name in ("rule_cancelled", "rule_write"):
        job = wait_for(f"RUNNING .*{name}", place, running)
        subprocess.run(["scancel", job[0]], check=True)
    node = wait_for("RUNNING .*rule_restarts", place, running)[-1]
    slurm_cluster.wait_for((place / "begun.txt").exists, "it does not begin")
    wait_for("COMPLETED .*rule_grows .*1400M", place, running, "-t", "all")

    cluster.stop_node(node)
    wait_for("PENDING .*rule_restarts", place, running)
    cluster.start_node(node)
    (place / "go").touch()
    assert running.wait(timeout=240) == 1, said(place)  # for what was cancelled

    jobs = [line.split()[1:4] for line in queue("-t", "all")]
    assert ["COMPLETED", "rule_grows", "1400M"] in jobs
    killed = [job for job in cluster.finished() if "mem=700M" in job.get("Tres", "")]
    assert "FAILED" in {job["JobState"] for job in killed} - {"CANCELLED", "COMPLETED"}
    assert (place / "begun.txt").read_text() == "begun\nbegun\n"
    assert (place / "restarts.txt").exists()
    cancelled = [job for job in jobs if job[0] == "CANCELLED"]
    names = sorted(line.split()[2] for line in queue("-t", "all") if "write" in line)
    assert names == ["rule_write_bold_single_optcom"]  # cancelled, and not submitted again
    assert sorted(job[1] for job in cancelled) == ["rule_cancelled", *names]
    assert not (place / "cancelled.txt").exists()


RUNS = ("sub-01_ses-01_task-images_run-01", "sub-01_ses-01_task-images_run-02")
MAP = "out/nordic/sub-01/ses-01/func/{run}_echo-2_desc-weakestResponse_boldmap.nii.gz"


@pytest.mark.e2e
def test_a_slice_of_the_workflow_through_a_second_call_and_a_kill(cluster, place, call):
    spec = make_spec("tiny", sessions=("01",), runs=2, fieldmaps=0)
    dataset.write_dataset(place / "raw", spec)
    (place / "my.yaml").write_text("bids_dir: raw\noutput_dir: out\n")
    echo = f"out/nordic/sub-01/ses-01/func/{RUNS[0]}_echo-1_part-mag_desc-nordic_bold.nii.gz"
    arguments = [*(MAP.format(run=run) for run in RUNS), echo]
    arguments += ["--configfile", "my.yaml"]
    first, since = call(*arguments), len(cluster.finished())
    wait_for("RUNNING .*rule_reference", place, first)

    # Held, so that they have not ended by themselves when the third call looks for them.
    for job in subprocess.check_output(["squeue", "-h", "-o", "%A", "-t", "R"], text=True).split():
        subprocess.run(["scontrol", "suspend", job], check=True)
    command = [".venv/bin/snakemake", "--profile", "slurm", *arguments]
    second = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"process {first.pid} on" in second.stderr

    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    refused = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "submitted" not in refused.stderr
    (recovery,) = re.findall("(scancel --name .*)", refused.stderr)
    subprocess.run(shlex.split(recovery), check=True)
    slurm_cluster.wait_for(lambda: not queue(), "jobs do not end")

    assert call(*arguments).wait(timeout=300) == 0, said(place)
    done = [job for job in cluster.finished()[since:] if job["JobState"] == "COMPLETED"]
    assert {job["NodeList"] for job in done} == set(slurm_cluster.NODES)
    assert len(done) == 4  # a Slurm job for each run's reference, and one for all of its NORDIC
    # One after the other: noise map and two echoes ask for 30 minutes each, what survives for 15.
    longest = max(done, key=lambda job: int(job["TimeLimit"]))
    assert longest["TimeLimit"] == "105"
    assert "cpu=1" in longest["Tres"].split(",")
    assert all((place / MAP.format(run=run)).exists() for run in RUNS)
    assert not list((place / "out/work").rglob(".call-*"))  # what it handed to its jobs
