"""What the terminal says while jobs run: names of runs, the pace, and failures with their logs."""

import io
import logging
import re

import pytest

from mebold.jobs import console

STEM = "sub-01_ses-01_task-x_run-{}"


@pytest.fixture
def snakemake_logger():
    """Return a logger with a terminal and a log file as Snakemake sets them up."""
    logger = logging.Logger("snakemake-like", level=logging.INFO)
    terminal, file = (logging.StreamHandler(io.StringIO()) for _ in range(2))
    terminal.name = "DefaultStreamHandler"
    logger.addHandler(terminal)
    logger.addHandler(file)
    return logger, terminal, file


def begin(logger, job, rule, **labels):
    extra = {"event": "job_info", "jobid": job, "rule_name": rule, "wildcards": labels, "log": []}
    logger.info(f" Rule: {rule}, Jobid: {job}", extra=extra)


def test_a_job_is_named_by_its_run_and_never_by_a_number(snakemake_logger):
    logger, terminal, file = snakemake_logger
    console.take_over(logger, ["hmc", "hmc", "anat"])
    logger.info("Select jobs to execute...")
    logger.info("Execute 2 jobs...", extra={"event": "job_started"})
    logger.info("Group job reference (jobs in lexicogr. order):", extra={"event": "group_info"})
    begin(logger, 7, "hmc", folder="sub-01/ses-01", stem=STEM.format(1))
    begin(logger, 8, "hmc", folder="sub-01/ses-01", stem=STEM.format(2))
    logger.info("Finished jobid: 7 (Rule: hmc)", extra={"event": "job_finished", "job_id": 7})
    logger.info(None, extra={"event": "progress", "done": 1, "total": 3})
    error = {"event": "job_error", "jobid": 8, "rule_name": "hmc", "log": ["logs/hmc/a.log"]}
    logger.error("Error in rule hmc, jobid: 8", extra=error)
    begin(logger, 9, "anat", sub="sub-01")
    logger.info("Finished jobid: 9 (Rule: anat)", extra={"event": "job_finished", "job_id": 9})
    logger.info("Complete log(s): x")
    said = [re.sub(r"^\d\d:\d\d:\d\d ", "", s) for s in terminal.stream.getvalue().splitlines()]
    assert said == [
        f"begins: hmc of {STEM.format(1)}",
        f"begins: hmc of {STEM.format(2)}",
        f"done:   hmc of {STEM.format(1)} (0 s); 1 of 3 jobs (33 %)",
        f"FAILED: hmc of {STEM.format(2)}; log: logs/hmc/a.log",
        "begins: anat of sub-01",
        "done:   anat of sub-01 (0 s); 2 of 3 jobs (66 %), 1 failed",
        "Complete log(s): x",
    ]
    assert "Finished jobid: 7" in file.stream.getvalue()  # the end of a call reads it there


def test_what_is_held_back_stays_so(snakemake_logger):
    logger, terminal, _ = snakemake_logger
    terminal.addFilter(lambda record: getattr(record, "event", "") != "job_info")
    console.take_over(logger, ["hmc"])
    begin(logger, 1, "hmc", stem=STEM.format(1))
    assert terminal.stream.getvalue() == ""


def test_who_asks_for_more_gets_what_snakemake_says(snakemake_logger):
    logger, terminal, _ = snakemake_logger
    logger.setLevel(logging.DEBUG)
    console.take_over(logger, ["hmc"])
    begin(logger, 1, "hmc", stem=STEM.format(1))
    assert "Rule: hmc, Jobid: 1" in terminal.stream.getvalue()


def test_the_estimate_counts_each_rule_as_it_was(snakemake_logger):
    pace = console.Pace([*["hmc"] * 4, *["ica"] * 2], began_s=100.0)
    pace.start(1, "hmc", 100.0)
    pace.start(2, "ica", 100.0)
    assert pace.end(1, 110.0) == 10.0
    pace.start(3, "hmc", 110.0)
    pace.end(3, 120.0)
    assert pace.remaining_s(120.0) is None  # two are too few to tell
    pace.end(2, 140.0)
    # Two motions of 10 s and an ICA of 40 s are left; 60 s of work were done in 40 s.
    assert pace.remaining_s(140.0) == pytest.approx(60 / 1.5)
    pace.start(4, "ica", 140.0)
    assert pace.remaining_s(150.0) == pytest.approx(50 / (70 / 50))
    pace.start(5, "hmc", 150.0)
    pace.fail(5)  # and will not run again
    assert pace.remaining_s(150.0) == pytest.approx(40 / (70 / 50))


def test_a_job_that_is_tried_again_counts_once():
    pace = console.Pace(["ica"], began_s=0.0)
    pace.start(1, "ica", 0.0)
    pace.fail(1)
    assert (pace.done, pace.failed) == (0, 1)
    pace.start(1, "ica", 5.0)
    pace.end(1, 9.0)
    assert (pace.done, pace.failed) == (1, 0)
