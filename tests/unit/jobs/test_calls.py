"""One call at a time, and none beside the jobs of one that was killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mebold.errors import DataError
from mebold.files import lock
from mebold.jobs import calls

JOB = (
    "import sys, time\nfrom mebold.jobs import calls\n"
    "with calls.working(sys.argv[1], 'rule hmc of sub-01'):\n"
    "    print('works', flush=True)\n    time.sleep(60)\n"
)
KILLED = (
    "import os, signal, sys\nfrom mebold.jobs import calls\n"
    "calls.begin(sys.argv[1], log=sys.argv[2])\nos.kill(os.getpid(), signal.SIGKILL)\n"
)
WITH_LIBRARY = os.environ | {"PYTHONPATH": str(Path(calls.__file__).parents[2])}
RUN = "0d1b63e3-1a7e-4f4e-8a4b-5a0d1c1f2b11"


@pytest.fixture(autouse=True)
def _no_call(monkeypatch):
    monkeypatch.setenv("MEBOLD_CALL", "")


@pytest.fixture
def work(tmp_path):
    return tmp_path / "out/work"


@pytest.fixture
def orphan(work):
    """A job that goes on after its call was killed."""
    kill_a_call(work)
    command = [sys.executable, "-c", JOB, work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=WITH_LIBRARY) as process:
        assert process.stdout.readline() == "works\n"
        yield process
        process.kill()


def kill_a_call(work, log="none"):
    done = subprocess.run([sys.executable, "-c", KILLED, work, log], check=False, env=WITH_LIBRARY)
    assert done.returncode == -signal.SIGKILL
    assert lock.holder(work)["Folder"]


def test_a_job_of_a_killed_call_that_goes_on_is_named_with_how_to_end_it(work, orphan):
    with pytest.raises(DataError) as caught:
        calls.begin(work)
    assert f"- rule hmc of sub-01: kill {orphan.pid}" in str(caught.value)
    assert "then make the same call again" in str(caught.value)
    assert lock.holder(work)["Process"] != os.getpid()
    orphan.kill()
    orphan.wait()
    calls.begin(work)
    assert lock.holder(work)["Process"] == os.getpid()
    calls.end(work)
    assert not lock.holder(work)


def test_a_job_that_ends_says_nothing_more(work):
    with contextlib.suppress(ZeroDivisionError), calls.working(work, "rule x"):
        assert len(list((work / ".jobs").iterdir())) == 1
        _ = 1 / 0
    assert not list((work / ".jobs").iterdir())


def test_a_job_that_begins_after_its_call_has_ended_stops(work, monkeypatch):
    calls.begin(work)
    with calls.working(work, "rule x"):
        pass
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setenv("MEBOLD_CALL", f"{socket.gethostname()} {ended.pid} 17")
    with pytest.raises(DataError, match=rf"process {ended.pid} on .* has ended"):
        calls.working(work, "rule x").__enter__()
    # On another machine nothing is known of the process, but the folder has another holder.
    monkeypatch.setenv("MEBOLD_CALL", "node17 4711 17")
    with pytest.raises(DataError, match="process 4711 on node17"):
        calls.working(work, "rule x").__enter__()
    calls.end(work)
    with calls.working(work, "rule x"):
        pass


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A command `squeue` that lists what stands in a file."""
    (tmp_path / "bin").mkdir()
    squeue = tmp_path / "bin/squeue"
    squeue.write_text(f"#!/bin/sh\ncat {tmp_path}/queue\n")
    squeue.chmod(0o755)
    (tmp_path / "queue").write_text("")
    (tmp_path / "snakemake.log").write_text(f"SLURM run ID: {RUN}\nJob 3 has been submitted\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_cluster_jobs_of_a_killed_call_are_named_with_how_to_cancel_them(work, cluster):
    kill_a_call(work, cluster / "snakemake.log")
    (cluster / "queue").write_text(f"12 {RUN}\n13 {RUN}\n14 other\n")
    with pytest.raises(DataError) as caught:
        calls.begin(work)
    assert f"Slurm jobs 12, 13: scancel --name {RUN}" in str(caught.value)
    (cluster / "queue").write_text("14 other\n")
    calls.begin(work)


def test_without_squeue_the_whole_recovery_is_said(work, cluster, monkeypatch):
    kill_a_call(work, cluster / "snakemake.log")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError) as caught:
        calls.begin(work)
    assert f"scancel --name {RUN}" in str(caught.value)
    assert f"rm {work}/.lock.json" in str(caught.value)


def test_a_call_on_another_machine_is_refused_with_the_name_of_its_jobs(work, cluster):
    kill_a_call(work, cluster / "snakemake.log")
    path = work / ".lock.json"
    path.write_text(json.dumps(lock.holder(work) | {"Host": "login2"}))
    with pytest.raises(DataError, match=rf"on login2.*scancel --name {RUN}"):
        calls.begin(work)


def test_a_job_on_a_node_counts_as_long_as_the_queue_has_it(work, cluster):
    about = {"Host": "node17", "Process": 5, "Started": "1", "Job": "rule hmc", "Slurm": "12"}
    claim = work / ".jobs/node17-5.json"
    claim.parent.mkdir(parents=True)
    claim.write_text(json.dumps(about))
    (cluster / "queue").write_text("12 run\n")
    with pytest.raises(DataError, match=r"rule hmc on node17: .* remove .*node17-5\.json"):
        calls.begin(work)
    calls.clear(work)
    assert claim.exists()
    (cluster / "queue").write_text("")
    calls.begin(work)
    calls.end(work)
    calls.clear(work)
    assert not claim.exists()


def write_half(work):
    """Leave what a killed job leaves: some of its outputs, one half-written, and what it said."""
    out = work.parent
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from mebold.files import atomic, tables\nfrom mebold.jobs import calls\n"
        "out = Path(sys.argv[1]).parent\n"
        "names = [out / 'a.json', out / 'figures/b.json', out / 'c.json', out / 'tedana']\n"
        "names.append(out.parent / 'elsewhere.json')\n"
        "with calls.working(sys.argv[1], 'rule x', outputs=names):\n"
        "    tables.write_json(out / 'a.json', {})\n"
        "    with atomic.atomic_folder(out / 'tedana') as folder:\n"
        "        (folder / 'x').touch()\n"
        "    with atomic.atomic(out / 'figures/b.json'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, work], check=False, env=WITH_LIBRARY)
    assert done.returncode == -signal.SIGKILL
    assert (out / "a.json").exists()
    assert len(list((out / "figures").iterdir())) == 1


def test_outputs_of_a_killed_job_are_removed_before_the_next_call(work):
    """With the file that others need in place, Snakemake would not miss its figures."""
    write_half(work)
    other = work.parent / "other.json"
    other.write_text("{}")
    (work.parents[1] / "elsewhere.json").write_text("{}")
    calls.clear(work)
    assert sorted(path.name for path in work.parent.rglob("*")) == [
        ".jobs", "figures", "other.json", "work",
    ]  # fmt: skip
    assert (work.parents[1] / "elsewhere.json").exists()
    assert not lock.holder(work)


def test_what_a_job_at_work_has_written_stays(work, tmp_path):
    write_half(work)
    calls.begin(work)
    code = "import sys\nfrom mebold.jobs import calls\ncalls.clear(sys.argv[1])\n"
    subprocess.run([sys.executable, "-c", code, work], check=True, env=WITH_LIBRARY)
    assert (work.parent / "a.json").exists()
    outputs = [work.parent / name for name in ("a.json", "figures/b.json", "c.json", "tedana")]
    outputs.append(tmp_path / "elsewhere.json")
    with calls.working(work, "rule x", outputs=outputs):  # the same job, tried again
        assert len(list((work / ".jobs").iterdir())) == 1
    calls.end(work)
    calls.clear(work)
    assert (work.parent / "a.json").exists()
