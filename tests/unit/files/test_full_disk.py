"""A full disk, during each kind of write: said in words, nothing half-written, equal afterwards."""

import contextlib
import itertools
import os
import resource
import subprocess
from types import SimpleNamespace

import pytest
from kinds_of_files import WRITERS, content, same, write_tedana

from mebold.files import atomic
from mebold.jobs.script import job


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of 16 MB in memory, which only some machines let a test mount."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def free(folder, count):
    """Leave so many bytes of a small disk, in whole pages."""
    filler = folder / "filler"
    filler.touch()
    state = os.statvfs(folder)
    with filler.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - count // 4096 * 4096)
    try:
        yield
    finally:
        filler.unlink()


def attempt(write, folder, tmp_path):
    log = [str(tmp_path / "job.log")]
    of_rule = SimpleNamespace(log=log, rule="x", wildcards={}, threads=1)
    with contextlib.suppress(SystemExit), job(of_rule):
        write(folder)
        return True
    return False


def room(folder):
    return sum(4096 * (1 + path.stat().st_size // 4096) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk(kind, small_disk, tmp_path, capsys):
    write = WRITERS[kind]
    assert attempt(write, tmp_path / "undisturbed/out", tmp_path)
    expected = content(tmp_path / "undisturbed/out")
    numbers = itertools.count()
    for share in (0.0, 0.3, 0.6):
        folder = small_disk / f"{kind.replace(' ', '')}{next(numbers)}/out"
        folder.mkdir(parents=True)
        need = room(tmp_path / "undisturbed/out")
        with free(small_disk, int(share * need)):
            assert not attempt(write, folder, tmp_path), share
            said = capsys.readouterr().err.lower()
            assert "no space left" in said
            assert "make the same call again" in said
            assert content(folder) == {}
        assert attempt(write, folder, tmp_path)
        assert same(content(folder), expected)
        # Over files that are there: each stays as it was or is new, or goes with its job.
        with free(small_disk, 0):
            assert not attempt(write, folder, tmp_path)
            assert not [name for name in content(folder) if ".partial-" in name]
            kept = content(folder)
            assert all(same({name: value}, {name: expected[name]}) for name, value in kept.items())
        assert attempt(write, folder, tmp_path)
        assert same(content(folder), expected)
        capsys.readouterr()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_limit_of_file_sizes(kind, tmp_path, capsys):
    """The second line, for machines without mounts: a quota on single files."""
    write = WRITERS[kind]
    assert attempt(write, tmp_path / "undisturbed/out", tmp_path)
    expected = content(tmp_path / "undisturbed/out")
    folder = tmp_path / "limited/out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_tedana(tmp_path / "limited/out")  # what tedana left in its own folder is there
    atomic.remove(tmp_path / "limited/out")
    most = max(len(value) for value in expected.values())
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(most // 2, 1), before[1]))
    try:
        done = attempt(write, folder, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not done
    assert "make the same call again" in capsys.readouterr().err
    assert content(folder) == {}
    assert attempt(write, folder, tmp_path)
    assert same(content(folder), expected)
