"""The lock of an output folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mebold.errors import DataError
from mebold.files import lock

HOLD = (
    "import sys, time\nfrom mebold.files import lock\n"
    "lock.acquire(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(60)\n"
)


@pytest.fixture
def other(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "out"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(lock.__file__).parents[2])},
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_with_who_and_since_when(tmp_path, other):
    with pytest.raises(DataError) as caught:
        lock.acquire(tmp_path / "out")
    held = json.loads((tmp_path / "out/.lock.json").read_text())
    for words in (str(other.pid), held["Host"], held["Since"], ".lock.json"):
        assert words in str(caught.value)
    lock.release(tmp_path / "out")  # not ours
    assert (tmp_path / "out/.lock.json").exists()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    path = lock.acquire(tmp_path / "out")
    assert json.loads(path.read_text())["Process"] == os.getpid()
    assert lock.acquire(tmp_path / "out") == path  # ours
    lock.release(tmp_path / "out")
    assert not path.exists()


def test_a_number_that_another_process_has_now_is_no_holder(tmp_path, other):
    path = tmp_path / "out/.lock.json"
    held = json.loads(path.read_text())
    path.write_text(json.dumps(held | {"Started": "1"}))
    lock.acquire(tmp_path / "out")


def test_the_process_of_another_host_is_never_taken_for_ended(tmp_path, other):
    path = tmp_path / "out/.lock.json"
    other.kill()
    other.wait()
    time.sleep(0.1)
    held = json.loads(path.read_text())
    path.write_text(json.dumps(held | {"Host": "node17"}))
    with pytest.raises(DataError, match="node17"):
        lock.acquire(tmp_path / "out")
    path.write_text("{")
    with pytest.raises(DataError, match=r"remove .*\.lock\.json"):
        lock.acquire(tmp_path / "out")
