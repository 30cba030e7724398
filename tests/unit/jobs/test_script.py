"""What surrounds a script: an error on the screen says which job it comes from."""

from types import SimpleNamespace

import pytest

from mebold.errors import DataError
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
