"""Contrasts of a localizer: which are made, their weights, and names that no run has."""

import pytest

from mebold.errors import ConfigError
from mebold.rois import contrasts
from mebold.rois.contrasts import Contrast

FLOC = {
    "faces": ["adult", "child"],
    "bodies": ["body", "limb"],
    "scenes": ["corridor", "house"],
    "characters": ["word", "number"],
    "objects": ["car", "instrument"],
}
LABELS = [label for group in FLOC.values() for label in group]


def task(**more):
    rest = {"column": "trial_type", "conditions": {}, "contrasts": {}, "usual": True}
    return {"task": "floc"} | rest | more


def made(labels, groups=None, own=None, **more):
    known = contrasts.conditions(labels, groups or {})
    return {name: str(one) for name, one in contrasts.of_task(known, own or {}, **more).items()}


def test_the_usual_contrasts_are_those_that_the_conditions_allow():
    found = made([*LABELS, "scrambled"], FLOC)
    assert list(found) == ["faces", "bodies", "scenes", "characters", "objects", "intact"]
    assert found["bodies"] == "bodies > faces + scenes + characters + objects"
    assert found["intact"] == "objects > scrambled"
    assert made(["motion", "static"]) == {"motion": "motion > static"}
    assert made(["faces", "scenes"]) == {"faces": "faces > scenes", "scenes": "scenes > faces"}
    assert made(["faces", "tools"]) == {}  # one category has no others
    assert made([*LABELS, "scrambled"], FLOC, usual=False) == {}


def test_own_contrasts_join_the_usual_ones_or_take_their_place():
    own = {
        "words": {"of": ["word"], "against": ["number"]},
        "faces": {"of": ["faces"], "against": "others"},
        "task": {"of": ["faces", "bodies"], "against": []},
    }
    found = made(LABELS[:6] + LABELS[6:8], FLOC, own)
    assert found["words"] == "word > number"
    assert found["faces"] == "faces > bodies + scenes + characters"
    assert found["task"] == "faces + bodies > baseline"
    assert made(["x", "y", "z"], own={"x": {"of": ["x"], "against": "others"}}) == {
        "x": "x > y + z"
    }


def test_conditions_count_alike_whatever_their_number_of_labels():
    one = Contrast(("faces",), ("scenes", "tools"))
    weights, lacking = contrasts.weights(one, ["adult", "corridor", "house", "tools"], FLOC)
    assert lacking == []
    assert weights == {"adult": 1.0, "corridor": -0.25, "house": -0.25, "tools": -0.5}
    assert contrasts.weights(one, ["adult", "tools"], FLOC) == ({}, ["scenes"])


def test_labels_without_the_baseline():
    values = ["adult", " Rest", "n/a", float("nan"), "house", "adult", ""]
    assert contrasts.labels(values, ["rest", "n/a"]) == ["adult", "house"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            task(contrasts={"words": {"of": ["word"], "against": []}}),
            r"task floc: contrast words: no run has the condition 'word'; a_events.tsv, "
            r"b_events.tsv \(column `trial_type`\) have: faces, scenes\.",
        ),
        (
            task(contrasts={"faces": {"of": ["faces"], "against": ["bodies"]}}),
            "contrast faces: no run has the condition 'bodies'",
        ),
        (
            task(conditions={"faces": ["faces", "adlut"]}),
            "`conditions`: faces: no run has the condition 'adlut'; a_events.tsv",
        ),
        (task(usual=False), "task floc has no contrast: .* have: faces, scenes"),
    ],
)
def test_a_condition_that_no_run_has_is_told_with_file_and_key(item, message):
    labels = {"a_events.tsv": ["faces"], "b_events.tsv": ["scenes"]}
    with pytest.raises(
        ConfigError, match=r"Configuration key `rois.localizer.tasks`: .*" + message
    ):
        contrasts.check(item, labels)
    contrasts.check(task(), labels)


def test_many_files_are_counted():
    labels = {f"run-{n}_events.tsv": ["x"] for n in range(9)}
    with pytest.raises(ConfigError, match=r"run-2_events.tsv and 6 more \(column"):
        contrasts.check(task(), labels)
