"""What jobs of a cluster get from the first process of their call."""

import pickle

import pandas as pd
import pytest

from mebold.jobs import handed


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setenv("MEBOLD_CALL", "node17 4711 1")


def test_jobs_of_a_call_get_what_it_handed_over(tmp_path, call, monkeypatch):
    assert handed.read(tmp_path) is None
    handed.write(tmp_path, pd.DataFrame({"stem": ["a"]}))
    pd.testing.assert_frame_equal(handed.read(tmp_path), pd.DataFrame({"stem": ["a"]}))
    monkeypatch.setenv("MEBOLD_CALL", "node17 4712 1")  # another call
    assert handed.read(tmp_path) is None
    handed.write(tmp_path, 2)
    assert len(list(tmp_path.rglob(".call-*"))) == 1  # that of the first is gone
    handed.remove(tmp_path)
    assert not list(tmp_path.rglob(".call-*"))


def test_outside_of_a_call_nothing_is_handed_over(tmp_path, monkeypatch):
    monkeypatch.delenv("MEBOLD_CALL", raising=False)
    handed.write(tmp_path, 1)
    assert handed.read(tmp_path) is None
    assert not list(tmp_path.rglob("*"))


class Program:
    def __reduce__(self):
        return (exec, ("raise SystemExit",))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o644])
def test_a_program_that_others_could_have_written_is_not_opened(tmp_path, call, mode):
    handed.write(tmp_path, 1)
    (path,) = tmp_path.rglob(".call-*")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(pickle.dumps(Program()))
    path.chmod(mode)
    assert handed.read(tmp_path) is None


def test_a_damaged_file_is_no_answer(tmp_path, call):
    handed.write(tmp_path, "x" * 1000)
    (path,) = tmp_path.rglob(".call-*")
    path.write_bytes(path.read_bytes()[:20])
    assert handed.read(tmp_path) is None
