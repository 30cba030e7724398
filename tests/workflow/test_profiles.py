"""The profiles: which jobs of a run are one job of the cluster, whatever is configured."""

import re
from collections import Counter

import pytest
from bids_trees import Tree
from snakemake_runner import REPOSITORY, snakemake

from mebold.inventory.table import read_table
from mebold.jobs.machine import memory_mb

pytestmark = pytest.mark.workflow

TABLE = REPOSITORY / "tests/workflow/runs.tsv"
RUNS = 2  # in the table


def listed(folder, profile, **config):
    """Return what a dry-run of one session says."""
    for row in read_table(TABLE)["path"]:
        path = folder / "raw" / row
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        events = path.name.replace("_echo-1_part-mag_bold.nii.gz", "_events.tsv")
        path.with_name(events).touch()
    profile = str(REPOSITORY / "profiles" / profile)
    config |= {
        "run_table": TABLE,
        "bids_dir": "raw",
        "output_dir": "out",
    }
    done = snakemake("-n", "--profile", profile, cwd=folder, **config)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def groups(said):
    """Return the groups of jobs: their name and the rules of each, counted."""
    found = Counter()
    for text in said.split("Group job ")[1:]:
        rules = re.findall(r"^    rule (\w+):", text.partition("\n[")[0], re.MULTILINE)
        found[text.split()[0], *sorted(rules)] += 1
    return found


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"sdc": "dynamic"},
        {"sdc": "none"},
        {"output": "{space: boldref}"},
        {"output": "{space: MNI152NLin2009aSym}"},
    ],
    ids=str,
)
def test_short_jobs_of_a_run_are_one_job_of_the_cluster(tmp_path, config):
    """Snakemake refuses a group that needs a job that needs the group; nothing makes such a one."""
    found = groups(listed(tmp_path, "slurm", **config))
    assert {name for name, *_ in found} == {"reference", "denoise", "series", "write"}
    nordic = ("denoise", "nordic", "nordic", "nordic", "nordic_gfactor", "nordic_survival")
    assert found[nordic] == RUNS
    assert all(len(rules) > 1 for (name, *rules) in found if name == "series")


def test_without_nordic_there_is_no_job_of_it(tmp_path):
    found = groups(listed(tmp_path, "slurm", variants="[standardOptcom]"))
    assert {name for name, *_ in found} == {"reference", "series", "write"}


def test_a_workstation_runs_them_by_themselves(tmp_path):
    said = listed(tmp_path, "workstation")
    assert not groups(said)


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), int(0.9 * memory_mb())), (("--resources", "mem_mb=700"), 700)],
    ids=["by itself", "given"],
)
def test_jobs_of_one_machine_share_its_memory(tmp_path, options, expected):
    Tree(tmp_path / "raw", filled=True).session("01", "01")
    call = ["--cores", "1", "datasets", *options]
    done = snakemake(*call, cwd=tmp_path, bids_dir="raw", output_dir="out")
    assert done.returncode == 0, done.stdout[-3000:]
    said = re.search(r'Provided resources: .*"mem_mb", (\d+)', done.stdout)
    assert int(said[1]) == expected
