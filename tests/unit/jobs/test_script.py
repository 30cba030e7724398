"""What surrounds a script: an error on the screen says which job it comes from."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mebold.errors import DataError
from mebold.files import atomic, images, tables
from mebold.jobs import script
from mebold.jobs.script import job


def of_rule(tmp_path, rule, **wildcards):
    log = [str(tmp_path / "job.log")]
    return SimpleNamespace(log=log, rule=rule, wildcards=wildcards, threads=1)


def fail(snakemake, error, ends_with):
    with pytest.raises(ends_with), job(snakemake):
        raise error


def test_an_error_names_rule_subject_and_run(tmp_path, capsys):
    stem = "sub-01_ses-02_task-x_run-3"
    snakemake = of_rule(tmp_path, "series", folder="sub-01/ses-02", stem=stem, thermal="nordic")
    fail(snakemake, DataError("the image is empty"), SystemExit)
    assert f"error in rule series of {stem}, nordic: the image is empty" in capsys.readouterr().err


def test_an_unexpected_error_too(tmp_path, capsys):
    with pytest.raises(KeyError), job(of_rule(tmp_path, "anat", sub="sub-01")):
        raise KeyError("x")
    assert "unexpected error in rule anat of sub-01" in capsys.readouterr().err


def test_a_job_without_wildcards(tmp_path, capsys):
    fail(of_rule(tmp_path, "comparison"), DataError("nothing"), SystemExit)
    assert "error in rule comparison: nothing" in capsys.readouterr().err


def test_a_failed_job_takes_back_what_it_wrote(tmp_path):
    """Snakemake removes the outputs that it knows; sidecars and further tables it does not."""
    images.save(tmp_path / "before.nii", np.ones((2, 2, 2)), np.eye(4), metadata={"a": 1})
    with contextlib.suppress(SystemExit), job(of_rule(tmp_path, "anat", sub="sub-01")):
        images.save(tmp_path / "a.nii.gz", np.ones((2, 2, 2)), np.eye(4), metadata={"a": 1})
        tables.write_json(tmp_path / "b/more.json", {})
        with atomic.atomic_folder(tmp_path / "tedana") as folder:
            (folder / "report.txt").write_text("x")
        raise DataError("no brain")
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"before.nii", "before.json", "job.log"}
    assert not (tmp_path / "tedana").exists()


def test_a_terminated_job_takes_back_what_it_wrote(tmp_path):
    """A time limit or `scancel` of a cluster sends SIGTERM first."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
        "from mebold.files import atomic, tables\nfrom mebold.jobs.script import job\n"
        "here = Path(sys.argv[1])\n"
        "log = [str(here / 'job.log')]\n"
        "with job(SimpleNamespace(log=log, rule='anat', wildcards={}, threads=1)):\n"
        "    tables.write_json(here / 'a.json', {})\n"
        "    with atomic.atomic(here / 'b.json'):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    with_library = os.environ | {"PYTHONPATH": str(Path(script.__file__).parents[2])}
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        check=False,
        env=with_library | {"TMPDIR": str(temporary)},
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert {path.name for path in tmp_path.iterdir()} == {"job.log", "tmp"}
    assert not list(temporary.iterdir())
    assert "terminated by signal 15" in (tmp_path / "job.log").read_text()


def test_a_full_disk_is_said_in_words(tmp_path, capsys):
    error = OSError(errno.ENOSPC, "no space left for 400.0 MB", "out/x.npy")
    fail(of_rule(tmp_path, "series", folder="sub-01"), error, SystemExit)
    said = capsys.readouterr().err
    assert "rule series of sub-01: no space left for 400.0 MB (out/x.npy)" in said
    assert "make the same call again" in said
    assert "Traceback" not in (tmp_path / "job.log").read_text()


def test_what_tools_leave_in_the_temporary_folder_goes_with_the_job(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed = subprocess.Popen(["true"])
    killed.wait()
    (tmp_path / f"mebold-job-{killed.pid}-abc").mkdir()
    (tmp_path / f"mebold-job-{killed.pid}-abc/prob01.nii.gz").write_text("x")
    other = tmp_path / f"mebold-job-{os.getppid()}-abc"
    other.mkdir()
    with contextlib.suppress(ZeroDivisionError), script.scratch() as folder:
        assert sorted(tmp_path.iterdir()) == sorted([folder, other])
        Path(tempfile.mkdtemp(), "left").write_text("x")
        assert os.environ["TMPDIR"] == str(folder)
        assert any(folder.rglob("left"))
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == [other]
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)


def test_a_log_is_never_empty(tmp_path):
    with job(of_rule(tmp_path, "hmc", stem="sub-01_task-x_run-3", folder="sub-01")):
        pass
    first, last = (tmp_path / "job.log").read_text().splitlines()
    assert first.endswith("mebold.job INFO rule hmc of sub-01_task-x_run-3")
    assert "mebold.job INFO done in 0.0 s" in last
