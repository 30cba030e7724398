"""Which ceilings are written, and what is said of them."""

import numpy as np
import pandas as pd

from mebold.noiseceiling import maps
from mebold.noiseceiling.sums import NoiseCeiling, Selection


def test_selections_of_a_session_and_of_a_subject():
    session = maps.session_selections()
    between = Selection(pairs="different_runs")
    assert session == {"all": Selection(), "DifferentRuns": between}
    subject = maps.subject_selections({"3rep": 3, "10rep": 10})
    assert list(subject) == ["3rep", "10rep", "Allrep", "DifferentRuns"]
    assert [subject[name].exact_repeats for name in ("3rep", "10rep")] == [3, 10]
    assert (subject["Allrep"], subject["DifferentRuns"]) == (Selection(), between)


def test_a_session_without_a_fit_leaves_no_mean():
    r2 = [np.array([20.0, 12.0, np.nan], np.float32), np.array([12.0, 10.0, 90.0], np.float32)]
    mean, clear = maps.mean_r2(r2)
    np.testing.assert_array_equal(mean, [16.0, 11.0, np.nan])
    assert clear.tolist() == [True, False, False]


def test_the_summary_counts_sessions_trials_and_images():
    trials = [pd.DataFrame({"label": ["a"] * n}) for n in (3, 5)]
    empty = np.zeros(0)
    repeats = {"Allrep": {2: 7}, "4rep": {}, "DifferentRuns": {}}
    maps_of = {n: NoiseCeiling(empty, empty, empty, empty, repeats=r) for n, r in repeats.items()}
    selections = maps.subject_selections({"4rep": 4})
    assert maps.summary(trials, maps_of, selections) == {
        "Sessions": 2,
        "Trials": [3, 5],
        "ImagesPerRepeatCount": repeats,
        "MapsNotWritten": {
            "4rep": "no image is shown exactly 4 times",
            "DifferentRuns": "no image is shown in two runs",
        },
    }
