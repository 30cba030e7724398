"""A writer that is killed: nothing half-written has a name, and the next one leaves no trace of it.

The process is killed before and after each rename of each kind of write, and in its middle.
"""

import contextlib
import os
import resource
import signal
from pathlib import Path

import pytest
from kinds_of_files import WRITERS, content, same

from mebold.files import tables


def killed(write, folder, *, before=None, after=None, at_bytes=None):
    """Write in a child process that dies at a rename or a size; return whether it did."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    with contextlib.suppress(BaseException):
        count, replace = [0], Path.replace

        def dying(self, target):
            if count[0] == before:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(self, target)
            if count[0] == after:
                os.kill(os.getpid(), signal.SIGKILL)
            count[0] += 1

        Path.replace = dying
        if at_bytes:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # ends the process as -9 does
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
        write(folder)
    os._exit(0)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_killed_writer(kind, tmp_path):
    write = WRITERS[kind]
    write(tmp_path / "undisturbed/out")
    expected = content(tmp_path / "undisturbed/out")
    moments = [{"at_bytes": max(map(len, expected.values())) // 2}]
    for number in range(20):
        moments += [{"before": number}, {"after": number}]
    deaths = 0
    for number, moment in enumerate(moments):
        folder = tmp_path / f"{number}/out"
        if not killed(write, folder, **moment):
            break
        deaths += 1
        for name, value in content(folder).items():
            if ".partial-" in name:
                continue
            assert same({name: value}, {name: expected[name]}), (moment, name)
            if name.endswith((".nii", ".nii.gz")):  # with its sidecar, where it has one
                beside = tables.sidecar(name).name
                assert beside not in expected or beside in content(folder)
        write(folder)
        assert same(content(folder), expected)
    assert deaths >= 3  # in the middle, before and after the one rename
