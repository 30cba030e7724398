"""What counts as a process that is at work."""

import subprocess
import sys
import time
from pathlib import Path

from mebold.processes import started


def ended_but_for(process, state, *, least=1):
    """Wait until the first thread of a process is in a state."""
    until = time.monotonic() + 20
    while True:
        about = Path(f"/proc/{process}")
        if (about / "stat").read_text().rpartition(")")[2].split()[0] == state:
            return len(list((about / "task").iterdir())) >= least
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_process_has_one_start_and_its_number_alone_none():
    one = subprocess.Popen(["sleep", "60"])
    try:
        since = started(one.pid)
        assert int(since) > 0
        assert started(one.pid) == since
    finally:
        one.kill()
        one.wait()
    assert started(one.pid) is None


def test_one_that_ended_is_none_before_its_parent_asks():
    one = subprocess.Popen(["true"])
    try:
        assert ended_but_for(one.pid, "Z")
        assert started(one.pid) is None
    finally:
        one.wait()


def test_one_whose_threads_still_work_is_there():
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    one = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert ended_but_for(one.pid, "Z", least=2)
        assert started(one.pid) is not None
    finally:
        one.kill()
        one.wait()
