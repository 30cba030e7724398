"""Localizer tasks: groups, contrasts that are the same in all sessions, regions that need them."""

from types import SimpleNamespace

import pytest

from mebold.errors import ConfigError
from mebold.inventory.runs import Run
from mebold.jobs import localizers, regions
from mebold.jobs.localizers import Localizers

TASK = {
    "task": "floc", "column": "trial_type", "baseline": ["rest"], "conditions": {},
    "contrasts": {}, "usual": True,
}  # fmt: skip


def run(subject, session, number, labels, task="floc"):
    group = f"sub-{subject}_ses-{session}_task-{task}"
    row = {"subject": subject, "session": session, "task": task}
    row["events_trials"] = labels and {"onset": ["0"] * len(labels), "trial_type": labels}
    stem = f"{group}_run-{number}"
    return stem, Run(stem, f"sub-{subject}/ses-{session}", group, {"mag": [row]})


def index(*runs, **task):
    held = dict(runs)
    return SimpleNamespace(
        config={"rois": {"localizer": {"tasks": [TASK | task]}}},
        runs=held,
        planned={"localizer": {stem for stem in held if "task-floc" in stem}},
        stems=lambda: list(held),
        row=lambda stem: held[stem].first,
        subject=lambda stem: f"sub-{held[stem].first['subject']}",
        subject_task=lambda group: group.replace(f"_ses-{group.split('_ses-')[1][:2]}", ""),
    )


RUNS = (
    run("01", "01", 1, ["faces", "rest", "scenes"]),
    run("01", "02", 1, ["faces", "bodies"]),
    run("02", "01", 1, ["motion", "static"]),
    run("02", "01", 2, ["a", "b"], task="images"),
)


def test_contrasts_are_those_of_all_runs_of_the_subject():
    found = Localizers(index(*RUNS))
    assert found.tasks() == {
        "sub-01_task-floc": ["sub-01_ses-01_task-floc", "sub-01_ses-02_task-floc"],
        "sub-02_task-floc": ["sub-02_ses-01_task-floc"],
    }
    assert list(found.tasks("sub-02")) == ["sub-02_task-floc"]
    first, second = (found.contrasts(f"sub-01_ses-0{n}_task-floc") for n in (1, 2))
    assert first == second
    assert first["faces"] == {"of": ["faces"], "against": ["bodies", "scenes"]}
    assert found.fits("sub-02") == {"sub-02_task-floc": {"task": "floc", "contrasts": ["motion"]}}
    assert found.stems("sub-02_ses-01_task-floc") == ["sub-02_ses-01_task-floc_run-1"]
    assert found.settings("sub-02_ses-01_task-floc", "baseline") == {"baseline": ["rest"]}


def test_a_run_table_that_does_not_tell_leaves_what_the_configuration_names():
    bare = index(run("01", "01", 1, None), conditions={"faces": ["adult"], "scenes": ["house"]})
    assert list(Localizers(bare).contrasts("sub-01_ses-01_task-floc")) == ["faces", "scenes"]


def test_fits_of_earlier_calls_are_found_again(tmp_path):
    folder = tmp_path / "localizers/sub-01"
    folder.mkdir(parents=True)
    name = "sub-01_task-floc_acq-ME_desc-localizer_contrasts.tsv"
    (folder / name).write_text("contrast\truns\nfaces\t2\nscenes\t2\n")
    assert localizers.finished(tmp_path, "sub-01") == {
        "sub-01_task-floc_acq-ME": {"task": "floc", "contrasts": ["faces", "scenes"]}
    }
    assert localizers.finished(tmp_path, "sub-02") == {}


FITS = {
    "out/floc_contrasts.npz": {"task": "floc", "contrasts": ["faces", "scenes"]},
    "out/mt_contrasts.npz": {"task": "mt", "contrasts": ["motion", "scenes"]},
}


def find(item, fits=FITS):
    return regions.find_localizers({"localizer": {"regions": [item]}}, "sub-01", fits)


def test_regions_take_the_fit_that_has_their_contrast():
    (found,) = find({"name": "FFA1", "contrast": "faces"})
    assert (found["path"], found["fitted"]) == ("out/floc_contrasts.npz", True)
    (found,) = find({"name": "PPA", "contrast": "scenes", "task": "mt"})
    assert found["path"] == "out/mt_contrasts.npz"
    assert find({"name": "FFA1", "contrast": "faces"}, {}) == []  # a subject without runs
    with pytest.raises(
        ConfigError, match=r"PPA: contrast scenes is made of several tasks .*`task`"
    ):
        find({"name": "PPA", "contrast": "scenes"})
    with pytest.raises(
        ConfigError, match="FFA1: contrast face is none of sub-01: there are faces,"
    ):
        find({"name": "FFA1", "contrast": "face"})


@pytest.mark.parametrize(
    ("tasks", "item", "message"),
    [
        (["a", "a"], {"name": "X", "contrast": "c"}, "tasks`: a is given twice"),
        (["a"], {"name": "X"}, "X needs either `contrast`"),
        (["a"], {"name": "X", "contrast": "c", "map": "m"}, "X needs either `contrast`"),
        ([], {"name": "X", "contrast": "c"}, "`rois.localizer.tasks` is empty"),
        (["a"], {"name": "X", "contrast": "c", "task": "b"}, "task b is none of .* there are a"),
    ],
)
def test_regions_that_no_map_can_give(tasks, item, message):
    section = {"tasks": [{"task": name} for name in tasks], "regions": [item]}
    with pytest.raises(ConfigError, match=message):
        localizers.check(section)
    localizers.check({"tasks": [], "regions": [{"name": "X", "map": "m"}]})
    localizers.check({"tasks": [{"task": "a"}], "regions": [{"name": "X", "contrast": "c"}]})
