"""What surrounds a script: an error on the screen says which job it comes from."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mebold.errors import DataError
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
