"""Localizer tasks in the plan: fitted by condition, never by trial unless asked, checked first."""

import pytest
from bids_trees import SHAPE, Tree

from mebold.errors import ConfigError, MetadataError
from mebold.inventory.index import index
from mebold.plan import study

CONFIG = {"variants": ["standardSingle"], "design": {"label_column": "stim_name"}}
TASK = {
    "task": "floc", "column": "trial_type", "baseline": ["rest"], "conditions": {},
    "contrasts": {}, "usual": True, "single_trials": False,
}  # fmt: skip
STEMS = {task: f"sub-01_ses-01_task-{task}_run-01" for task in ("images", "floc", "other")}


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.session("01", "01", runs=("01",), shape=SHAPE)
    for task in ("floc", "other"):
        tree.run(STEMS[task], "sub-01/ses-01/func", shape=SHAPE)
        blocks(tree, "faces", "scenes", "rest", task=task)
    return tree


def blocks(tree, *labels, task="floc", column="trial_type"):
    path = f"sub-01/ses-01/func/{STEMS[task]}_events.tsv"
    tree.events(path, list(labels), column=column)
    return path


def stages(tree, item=None, **config):
    """Return planned and reason of localizer and single-trial fit by task."""
    rois = {"localizer": {"tasks": [TASK | (item or {})]}}
    plan = study.decide(index(tree.root), CONFIG | {"rois": rois} | config).plan
    rows = {(r["stem"], r["stage"]): (r["planned"], r["reason"]) for r in plan.to_dict("records")}
    return {
        task: [rows[stem, stage] for stage in ("localizer", "singletrial")]
        for task, stem in STEMS.items()
    }


def test_a_localizer_is_fitted_by_condition_and_not_by_trial(tree):
    found = stages(tree)
    assert found["floc"][0] == (True, "")
    planned, reason = found["floc"][1]
    assert not planned
    assert reason.startswith("a localizer (`rois.localizer.tasks`)")
    assert found["images"][0] == (False, "no task of `rois.localizer.tasks`")
    assert found["images"][1][0]
    # Another task without the label column stays what it was.
    assert "no column 'stim_name'" in found["other"][1][1]


def test_single_trials_of_a_localizer_on_request(tree):
    found = stages(tree, {"single_trials": True}, design={"label_column": "trial_type"})
    assert [planned for planned, _ in found["floc"]] == [True, True]


def test_a_localizer_needs_no_column_of_images(tree):
    """A label column that no events have is an error, of events that are meant to have it."""
    for task in ("images", "other"):
        (tree.root / f"sub-01/ses-01/func/{STEMS[task]}_events.tsv").unlink()
    found = stages(tree, design={"label_column": "picture"})
    assert found["floc"][0] == (True, "")
    with pytest.raises(MetadataError, match="'picture' is missing"):
        stages(tree, {"single_trials": True}, design={"label_column": "picture"})


def test_a_condition_that_no_run_has_is_told_before_any_job(tree):
    own = {"contrasts": {"words": {"of": ["word"], "against": "others"}}}
    with pytest.raises(ConfigError, match=rf"'word'; .*{STEMS['floc']}_events.tsv \(column"):
        stages(tree, own)
    # Of a part of the data the others may have it.
    assert stages(tree, own, participant_label=["01"])["floc"][0] == (True, "")


def test_a_task_without_runs_and_events_without_the_column(tree):
    with pytest.raises(ConfigError, match="no run has the task mt; there are floc, images, other"):
        stages(tree, {"task": "mt"})
    path = blocks(tree, "faces", "scenes", column="kind")
    planned, reason = stages(tree)["floc"][0]
    assert not planned
    assert f"{path}: events have no column 'trial_type'" in reason


def test_without_localizers_there_is_no_such_stage(tree):
    plan = study.decide(index(tree.root), CONFIG).plan
    assert "localizer" not in set(plan["stage"])
