"""Masked series store."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mebold.errors import DataError, GridMismatchError
from mebold.files import series

WITH_LIBRARY = os.environ | {"PYTHONPATH": str(Path(series.__file__).parents[2])}


def test_store_round_trip_and_choice_of_an_echo(tmp_path, rng):
    data = rng.normal(size=(3, 5, 4)).astype(np.float32)
    with series.writing(tmp_path / "new" / "s.npy", data.shape) as store:
        store[:] = data
        assert not (tmp_path / "new" / "s.npy").exists()
    assert np.array_equal(series.open(tmp_path / "new" / "s.npy"), data)
    assert np.array_equal(series.open_variant(tmp_path / "new" / "s.npy", echo=1), data[1])


def test_a_killed_writer_leaves_nothing_that_passes_for_a_store(tmp_path):
    path = tmp_path / "s.npy"
    code = (
        "import os, signal, sys\nfrom mebold.files import series\n"
        "with series.writing(sys.argv[1], (4, 5)) as store:\n"
        "    store[:2] = 1\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False, env=WITH_LIBRARY)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with series.writing(path, (4, 5)) as store:
        store[:] = 2
    assert list(tmp_path.iterdir()) == [path]
    assert (series.open(path) == 2).all()


def test_an_error_keeps_the_store_that_was_there(tmp_path):
    path = tmp_path / "s.npy"
    with series.writing(path, (2, 3)) as store:
        store[:] = 7
    with pytest.raises(ZeroDivisionError), series.writing(path, (2, 3)) as store:
        store[:] = 1 / 0
    assert (series.open(path) == 7).all()
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        pytest.raises(OSError, match=r"no space left for 400.0 MB.*s\.npy"),
        series.writing(tmp_path / "s.npy", (100, 1_000_000)),
    ):
        pytest.fail("the block was entered")
    assert not list(tmp_path.iterdir())


def test_a_limit_of_file_sizes_is_an_error_and_no_crash(tmp_path):
    code = (
        "import sys\nfrom mebold.files import series\n"
        "with series.writing(sys.argv[1], (1000, 1000)) as store:\n    store[:] = 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "s.npy"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        check=False, capture_output=True, text=True, env=WITH_LIBRARY,
    )  # fmt: skip
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_cut_store_is_refused(tmp_path):
    path = tmp_path / "s.npy"
    with series.writing(path, (20, 30)) as store:
        store[:] = 1
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"s\.npy is no complete series"):
        series.open(path)


def test_unmask_puts_voxels_back_where_they_came_from(rng):
    volume = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    mask = rng.random((3, 4, 5)) > 0.4
    back = series.unmask(volume[mask], mask, fill=-1)
    assert np.array_equal(back[mask], volume[mask])
    assert np.all(back[~mask] == -1)


def test_unmask_refuses_another_mask():
    with pytest.raises(GridMismatchError, match="3 voxel values do not fit a mask of 8 voxels"):
        series.unmask(np.zeros(3), np.ones((2, 2, 2), dtype=bool))


def test_memory_of_pages_is_given_back(tmp_path):
    def mapped_mb():
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1]) / 1e3

    with series.writing(tmp_path / "s.npy", (50, 100_000)) as store:
        store[:] = 3
    store = series.open(tmp_path / "s.npy")
    before = mapped_mb()
    assert store.sum() == 15e6
    assert mapped_mb() - before > 15
    series.let_go(store[:, 1:], np.ones(3))
    assert mapped_mb() - before < 5
    assert store.sum() == 15e6
