"""Which run anchors a session and a subject, and that it stays."""

import pytest
from bids_trees import SHAPE, Tree

from mebold.errors import MetadataError
from mebold.inventory import index
from mebold.inventory.runs import collect
from mebold.jobs.index import Index
from mebold.plan import references
from mebold.plan.stages import RUN_STAGES
from mebold.plan.table import make_plan

FOLDER = "sub-01/ses-01/func"
ME = {"suffixes": ("bold", "sbref"), "parts": ("mag",)}


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw")
    tree.image("sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz", {})
    return tree


def add(tree, name, *, volumes=8, events=True, session="01", **options):
    stem = f"sub-01_ses-{session}_{name}"
    folder = f"sub-01/ses-{session}/func"
    tree.run(stem, folder, shape=(*SHAPE[:3], volumes), **(ME | options))
    if events:
        tree.events(f"{folder}/{stem}_events.tsv", ["a", "b", "a", "b"])


def indexed(tree, kept=None, **labels):
    table = index.index(tree.root, **labels)
    return Index(table, make_plan(table), {"bids_dir": "raw", "output_dir": "out"}, kept)


def test_the_task_of_the_glm_then_most_volumes_then_the_first(tree):
    add(tree, "task-rest", volumes=40, events=False)
    add(tree, "task-x_run-1", volumes=8)
    add(tree, "task-x_run-2", volumes=9)
    add(tree, "task-x_run-3", volumes=9)
    runs = indexed(tree)
    assert runs.session_reference("sub-01/ses-01") == "sub-01_ses-01_task-x_run-2"
    assert runs.subject_reference("sub-01") == "sub-01_ses-01_task-x_run-2"


@pytest.mark.parametrize(
    "other",
    [
        {"PhaseEncodingDirection": "j"},
        {"suffixes": ("bold",)},
        {"echoes": {"1": 0.011, "2": 0.025, "3": 0.04}},
    ],
)
def test_never_one_with_another_direction_or_contrast(tree, other):
    add(tree, "task-x_acq-a", volumes=20, **other)
    add(tree, "task-x_acq-b_run-1")
    add(tree, "task-x_acq-b_run-2")
    stem = "sub-01_ses-01_task-x_acq-b_run-1"
    assert indexed(tree).session_reference("sub-01/ses-01") == stem


def test_what_was_chosen_stays_when_sessions_and_tasks_come_and_labels_change(tree, tmp_path):
    add(tree, "task-x_run-1")
    before = indexed(tree).references
    references.write(tmp_path / "out", before)
    add(tree, "task-a", volumes=30)
    add(tree, "task-x", session="00", volumes=30)
    kept = references.read(tmp_path / "out")
    assert kept == before
    after = indexed(tree, kept)
    assert after.subject_reference("sub-01") == "sub-01_ses-01_task-x_run-1"
    assert after.session_reference("sub-01/ses-01") == "sub-01_ses-01_task-x_run-1"
    assert after.session_reference("sub-01/ses-00") == "sub-01_ses-00_task-x"
    anew = indexed(tree)
    assert anew.subject_reference("sub-01") != after.subject_reference("sub-01")
    with pytest.raises(MetadataError, match="was aligned to sub-01_ses-01_task-x_run-1 before"):
        indexed(tree, kept, session_labels=["00"])


def test_a_reverse_scan_without_events_is_no_run_to_be_analysed(tree):
    add(tree, "task-x_run-1")
    add(tree, "task-x_run-2")
    add(tree, "task-x_acq-reversePE", events=False, PhaseEncodingDirection="j")
    table = index.index(tree.root)
    plan = make_plan(table)
    own = plan[plan["stem"] == "sub-01_ses-01_task-x_acq-reversePE"]
    assert not own["planned"].any()
    own = own[own["stage"].isin(RUN_STAGES)]
    assert set(own["reason"]) == {references._PARTNER}
    assert plan.loc[plan["stem"] == "sub-01_ses-01_task-x_run-1", "planned"].any()


@pytest.mark.parametrize(
    ("name", "volumes", "partner"),
    [
        ("task-rest_dir-PA", 40, False),
        ("task-rest_dir-PA", 5, True),
        ("task-rest_acq-reverse", 40, True),
    ],
)
def test_rest_in_both_directions_is_analysed_unless_it_is_a_short_scan(
    tree, name, volumes, partner
):
    for n in (1, 2):
        add(tree, f"task-rest_dir-AP_run-{n}", volumes=40, events=False)
    add(tree, name, volumes=volumes, events=False, PhaseEncodingDirection="j")
    found = references.partners(collect(index.index(tree.root)))
    assert list(found) == [f"sub-01_ses-01_{name}"] * partner
