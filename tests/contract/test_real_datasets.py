"""Real data sets, most of them without image content: the right runs, echoes and fieldmaps."""

import pytest

from mebold.inventory import checks, index
from mebold.inventory.runs import collect
from mebold.inventory.table import records
from mebold.plan.table import make_plan

pytestmark = pytest.mark.realdata


@pytest.fixture
def load(real_data):
    """Return a function from a folder to its table, runs by stem, and plan."""

    def function(name):
        folder = real_data / name
        if not folder.is_dir():
            pytest.skip(f"{name} is not among the real data sets")
        table = index.index(folder)
        checks.check(table)
        config = {"variants": ["standardSingle", "nordicOptcom"]}
        plan = make_plan(table, config=config).to_dict("records")
        return table, {run.stem: run for run in collect(table)}, plan

    return function


def reasons(plan, stage):
    return {row["reason"] for row in plan if row["stage"] == stage and not row["planned"]}


def test_multiecho_magnitude_and_phase_from_sidecars_alone(load):
    table, runs, plan = load("openneuro-ds005085/bids")
    stem = "sub-10017_task-sharedreward_acq-"
    echoes = {name.removeprefix(stem): run.n_echoes for name, run in runs.items()}
    assert echoes == {"mb1me1": 1, "mb1me4": 4, "mb3me1": 1, "mb3me4": 4, "mb6me1": 1, "mb6me4": 4}
    run = runs[f"{stem}mb3me4"]
    assert [row["echo_time"] for row in run.bold["phase"]] == [0.0138, 0.03154, 0.04928, 0.06702]
    assert (len(run.sbref["mag"]), len(run.sbref["phase"])) == (4, 4)
    assert run.first["repetition_time"] == 1.615
    paired = {name.removeprefix(stem): run.first["fieldmap"] for name, run in runs.items()}
    assert paired == {
        "mb1me4": "phasediffAcqboldRun1", "mb3me4": "phasediffAcqboldRun1",
        "mb6me4": "phasediffAcqboldRun2", "mb1me1": "phasediffAcqboldRun2",
        "mb3me1": "phasediffAcqboldRun2", "mb6me1": "phasediffAcqboldRun2"}  # fmt: skip
    assert {run.first["fieldmap_by"] for run in runs.values()} == {"IntendedFor"}
    assert set(table["image_state"]) == {"empty"}
    assert reasons(plan, "singletrial") == {"events without trials"}
    assert reasons(plan, "optcom") == {"one echo: nothing to combine"}


def test_three_echoes_of_two_tasks_with_root_sidecars(load):
    _, runs, plan = load("bids-examples/ds210")
    assert len(runs) == 10
    assert {run.n_echoes for run in runs.values()} == {3}
    times = {run.first["task"]: [row["echo_time"] for row in run.images] for run in runs.values()}
    assert times == {"cuedSGT": [0.013, 0.027, 0.043], "rest": [0.0137, 0.03, 0.047]}
    assert {row["subject"] for row in plan} == {"01", "02"}
    assert reasons(plan, "anat") == {"no T1w or UNIT1 image"}


def test_two_sessions_with_events_at_the_root(load):
    table, runs, plan = load("bids-examples/synthetic")
    assert len(runs) == 12
    assert {run.folder for run in runs.values()} == {
        f"sub-0{subject}/ses-0{session}" for subject in (1, 2) for session in (1, 2)
    }
    events = {run.first["task"]: run.first["events"] for run in runs.values()}
    assert events == {"nback": "task-nback_events.tsv", "rest": None}
    assert {tuple(row["shape"]) for row in records(table) if row["suffix"] == "bold"} == {
        (64, 64, 64, 64)
    }
    assert reasons(plan, "singletrial") == {"no events"}


def test_mp2rage_without_functional_data(load):
    table, runs, plan = load("bids-examples/qmri_mp2rageme")
    assert runs == {}
    assert len(table) == 11
    assert reasons(plan, "anat") == {"no T1w or UNIT1 image (only MP2RAGE)"}


def test_a_real_head_with_one_echo(load):
    _, runs, plan = load("xa30-raw-bids")
    run = runs["sub-01_task-fa_run-1"]
    row = run.first
    assert row["shape"] == [64, 64, 33, 20]
    assert row["total_readout_time"] == pytest.approx(0.0340202)
    assert (row["phase_encoding_direction"], row["fieldmap"]) == ("j-", "phasediff")
    assert row["acquisition_time"] == pytest.approx(12 * 3600 + 9 * 60 + 5.225)
    planned = {r["stage"] for r in plan if r["planned"]}
    assert planned == {
        "anat", "fmap", "nordic", "stc", "hmc", "coreg", "resample", "confounds"}  # fmt: skip
