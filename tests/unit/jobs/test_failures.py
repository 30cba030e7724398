"""The last lines of a call name what failed."""

import logging
from types import SimpleNamespace

import pytest

from mebold.jobs import failures

LOG = """
[Mon Nov 23 00:01:47 2026]
Error in rule hmc:
    message: None
    jobid: 8
    input: raw/a_bold.nii.gz
    output: out/a_motion.tsv
    log: out/work/logs/hmc/a.log (check log file(s) for error details)
Removing output files of failed job hmc since they might be corrupted:
out/a_motion.tsv
Trying to restart job 8.
Error in rule anat:
    message: None
    jobid: 80
    log: out/work/logs/anat/sub-01.log (check log file(s) for error details)
Error in rule hmc:
    message: None
    jobid: 8
    log: out/work/logs/hmc/a.log (check log file(s) for error details)
Error in rule fmap:
    message: None
    jobid: 5
    log: out/work/logs/fmap/a.log (check log file(s) for error details)
Error in rule plan:
    jobid: 2
Finished jobid: 5 (Rule: fmap)
Finished jobid: 88 (Rule: rois)
"""


def test_each_failed_job_is_named_once_and_none_that_did_well_in_the_end():
    found = failures.found_in(LOG)
    assert [(one.rule, one.log) for one in found] == [
        ("hmc", "out/work/logs/hmc/a.log"),
        ("anat", "out/work/logs/anat/sub-01.log"),
        ("plan", ""),
    ]
    told = failures.said(found)
    assert told.startswith("3 jobs failed")
    assert "- anat: see out/work/logs/anat/sub-01.log" in told
    assert failures.said(failures.found_in("Finished jobid: 1 (Rule: plan)")) == ""


@pytest.mark.parametrize(
    ("status", "tries"), [("CANCELLED", 1), ("CANCELLED by 1000", 1), ("OUT_OF_MEMORY", 3)]
)
def test_a_cancelled_job_has_no_further_attempt(status, tries):
    """As Snakemake's scheduler: it logs an error, then asks whether the job is tried again."""
    jobs = [SimpleNamespace(restart_times=2, attempt=1) for _ in range(2)]
    dag = SimpleNamespace(jobs=jobs, jobid=lambda job: int(job is jobs[1]))
    logger = logging.Logger("snakemake")
    failures.leave_cancelled(logger, SimpleNamespace(dag=dag))
    count = 1
    while True:
        words = f"SLURM-job '7' failed, SLURM status is: '{status}'. For further"
        logger.error("Error in rule x, jobid: 1", extra={"rule_msg": words, "jobid": 1})
        logger.info("something else")
        if not jobs[1].restart_times > jobs[1].attempt - 1:
            break
        jobs[1].attempt += 1
        count += 1
    assert count == tries
    assert jobs[0].attempt == 1


@pytest.mark.parametrize(("status", "tries"), [("CANCELLED", 1), ("OUT_OF_MEMORY", 3)])
def test_a_cancelled_group_of_jobs_has_no_further_attempt(status, tries, tmp_path, monkeypatch):
    """Snakemake logs it without the words of the executor, but with the number of the Slurm job."""
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\necho $* | grep -q -- --jobs=812 && echo {status}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    jobs = [SimpleNamespace(number=number) for number in range(2)]
    group = SimpleNamespace(restart_times=2, attempt=1)
    dag = SimpleNamespace(jobs=jobs, jobid=lambda job: job.number)
    dag.get_job_group = lambda job: group if job.number else None
    logger = logging.Logger("snakemake")
    failures.leave_cancelled(logger, SimpleNamespace(dag=dag))
    count = 1
    while True:
        about = {"job_error_info": [{"jobid": 1}, {"jobid": 0}], "external_jobid": "812"}
        logger.error("Error in group write", extra=about)
        if not group.restart_times > group.attempt - 1:
            break
        group.attempt += 1
        count += 1
    assert count == tries
