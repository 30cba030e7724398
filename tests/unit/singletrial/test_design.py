"""Trials and designs from events: grid, labels, blanks, and what is refused."""

import io

import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError, MetadataError
from mebold.singletrial.design import design_matrices, trials_from_events

EVENTS = """onset duration trial_type stim_name
12.049 2.9998 new a.jpg
15.049 3.0000 old b.jpg
18.049 3.0000 blank n/a
21.051 3.0001 new c.jpg
24.049 2.9999 old a.jpg
"""
COMMON = {"label_column": "stim_name", "blank_rule": {"trial_type": ["blank"]}, "tr": 1.0}


def _events(text=EVENTS, **changes):
    table = pd.read_csv(io.StringIO(text), sep=" ", na_values="n/a")
    return table.assign(**changes)


def test_blanks_go_and_onsets_are_rounded_with_the_shift_reported():
    trials = trials_from_events(_events(), n_volumes=60, **COMMON)
    assert list(trials.columns) == ["onset", "label", "volume", "shift_s", "row"]
    assert trials["row"].tolist() == [0, 1, 3, 4]
    assert trials["label"].tolist() == ["a.jpg", "b.jpg", "c.jpg", "a.jpg"]
    assert trials["volume"].tolist() == [12, 15, 21, 24]
    assert np.allclose(trials["shift_s"], [-0.049, -0.049, -0.051, -0.049])
    assert trials.attrs["excluded"] == []


def test_durations_never_matter_and_order_in_the_file_neither():
    shuffled = _events().iloc[[3, 0, 4, 2, 1]].assign(duration=np.nan)
    expected = trials_from_events(_events(), n_volumes=60, **COMMON)
    found = trials_from_events(shuffled, n_volumes=60, **COMMON)
    assert found.pop("row").tolist() == [1, 4, 0, 2]
    pd.testing.assert_frame_equal(found, expected.drop(columns="row"))


def test_a_series_that_starts_later_shifts_the_volumes():
    trials = trials_from_events(_events(), n_volumes=60, first_sample_s=10.0, **COMMON)
    assert trials["volume"].tolist() == [2, 5, 11, 14]
    assert np.allclose(trials["onset"] + trials["shift_s"], 10.0 + trials["volume"])


def test_blank_rule_matches_numbers_text_and_missing_values():
    events = _events(code=[1.0, 2.0, 3.0, np.nan, 1.0])
    options = {"label_column": "stim_name", "tr": 1.0, "n_volumes": 60}
    kept = trials_from_events(events, blank_rule={"code": ["1", 3]}, **options)
    assert kept["label"].tolist() == ["b.jpg", "c.jpg"]
    events.loc[2, "stim_name"] = "x.jpg"
    kept = trials_from_events(events, blank_rule={"code": ["n/a"]}, **options)
    assert kept["label"].tolist() == ["a.jpg", "b.jpg", "x.jpg", "a.jpg"]
    assert len(trials_from_events(events, blank_rule=None, **options)) == 5


def test_numeric_labels_become_text_without_decimals():
    events = _events(stim_name=[7.0, 8.0, np.nan, 7.0, 9.0])
    trials = trials_from_events(events, n_volumes=60, **COMMON)
    assert trials["label"].tolist() == ["7", "8", "7", "9"]


@pytest.mark.parametrize(
    ("missing", "present"),
    [("stim_name", "trial_type"), ("onset", "")],
)
def test_an_absent_column_is_named_with_those_present(missing, present):
    with pytest.raises(MetadataError, match=f"no column '{missing}'.*present:.*{present}"):
        trials_from_events(_events().drop(columns=missing), n_volumes=60, **COMMON)


def test_an_absent_blank_column_means_no_blanks():
    events = _events().drop(columns="trial_type").dropna(subset="stim_name")
    trials = trials_from_events(events, n_volumes=60, **COMMON)
    assert len(trials) == len(events)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        (
            {"stim_name": ["a", None, "x", "c", "d"]},
            {},
            "1 trials have no label.*15.049 s.*blank rule",
        ),
        ({"onset": [12, 15, 18, "n/a", 24]}, {}, "1 image trials have no usable onset.*row 3"),
        ({"onset": [12.0, 12.4, 18, 21, 24]}, {}, "two trials fall on volume 12"),
        ({}, {"n_volumes": 24}, "1 of 4 trials start after the last volume.*24.049 s"),
        ({}, {"first_sample_s": 13.0}, "'a.jpg' at 12.049 s is farther from the nearest volume"),
        ({}, {"max_shift_s": 0.05}, "'c.jpg' at 21.051 s .* than 0.050 s"),
        ({"trial_type": "blank"}, {}, "No image trial in these events: 5 rows, 5 blank"),
    ],
)
def test_unusable_events_are_refused(changes, options, message):
    with pytest.raises(DataError, match=message):
        trials_from_events(_events(**changes), **{"n_volumes": 60, **COMMON, **options})


def test_half_a_volume_is_the_largest_shift_and_rounds_up():
    trials = trials_from_events(_events(onset=[12.5, 15, 18, 21, 24]), n_volumes=60, **COMMON)
    assert trials["volume"].tolist() == [13, 15, 21, 24]
    assert trials["shift_s"].iloc[0] == 0.5


def test_late_trials_are_left_out_and_reported():
    trials = trials_from_events(_events(), n_volumes=24, min_tail_s=6, beyond_end="drop", **COMMON)
    assert trials["label"].tolist() == ["a.jpg", "b.jpg"]
    assert [item["label"] for item in trials.attrs["excluded"]] == ["c.jpg", "a.jpg"]
    assert "only 2.95 s of data" in trials.attrs["excluded"][0]["reason"]
    assert "after the end" in trials.attrs["excluded"][1]["reason"]


def test_design_has_one_column_per_label_and_trials_count_through_the_session():
    first = trials_from_events(_events(), n_volumes=60, **COMMON)
    second = first.assign(label=["d", "c.jpg", "a.jpg", "b.jpg"])
    design, names, trials = design_matrices([first, second], n_volumes=[60, 50])
    assert names == ["a.jpg", "b.jpg", "c.jpg", "d"]
    assert [matrix.shape for matrix in design] == [(60, 4), (50, 4)]
    assert [matrix.sum(axis=0).tolist() for matrix in design] == [[2, 1, 1, 0], [1, 1, 1, 1]]
    assert trials["beta_index"].tolist() == list(range(8))
    assert trials["run"].tolist() == [0] * 4 + [1] * 4
    for row in trials.itertuples():
        assert design[row.run][row.volume, names.index(row.label)] == 1


def test_a_trial_outside_its_run_is_refused():
    trials = trials_from_events(_events(), n_volumes=60, **COMMON)
    with pytest.raises(
        DataError, match="run 1 of 1 has 20 volumes, but trials at volumes 12 to 24"
    ):
        design_matrices([trials], n_volumes=[20])


@pytest.mark.realdata
def test_documented_laion_rows(real_data):
    path = real_data / "events" / "laion" / "sub-01_ses-06_task-images_run-01_events_first11.tsv"
    trials = trials_from_events(pd.read_csv(path, sep="\t"), n_volumes=163, **COMMON)
    assert len(trials) == 10
    assert trials["label"].iloc[8] == "shared_12rep_LAION_cluster_2359_i2.jpg"
    assert trials["shift_s"].abs().max() == pytest.approx(0.049, abs=1e-9)


@pytest.mark.realdata
@pytest.mark.parametrize("tr", [1.5, 1.0])
def test_things_sessions(real_data, tr):
    paths = sorted((real_data / "events" / "things").glob("*.tsv"))
    assert len(paths) == 30
    runs = [
        trials_from_events(
            pd.read_csv(path, sep="\t"),
            label_column="file_path",
            blank_rule={"trial_type": ["catch"]},
            tr=tr,
            n_volumes=int(426 / tr),
        )
        for path in paths
    ]
    assert {len(run) for run in runs} == {82}
    design, names, trials = design_matrices(runs, n_volumes=[int(426 / tr)] * 30)
    counts = trials["label"].value_counts()
    # 100 test images in every session, all others once.
    assert (counts == 3).sum() == 100
    assert (counts == 1).sum() == len(names) - 100 == 30 * 72
    assert trials["shift_s"].abs().max() == pytest.approx(0 if tr == 1.5 else 0.5)
    assert sum(matrix.sum() for matrix in design) == 30 * 82
