"""Regressors of trials at the volumes as acquired."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import MetadataError
from mebold.singletrial import as_acquired, hrf

OPTIONS = {"label_column": "stim_name", "blank": {"trial_type": ["blank"]}}


def events(onsets, kinds=None, **columns):
    kinds = kinds or ["image"] * len(onsets)
    names = [f"i{k}" for k in range(len(onsets))]
    return pd.DataFrame({"onset": onsets, "stim_name": names, "trial_type": kinds, **columns})


def test_a_response_starts_at_its_onset_and_peaks_at_one():
    tr = 0.5
    rows = as_acquired.of_onsets(np.array([3.0, 10.25]), tr=tr, n_volumes=80, stimulus_s=2.5)
    assert rows.shape == (2, 80)
    np.testing.assert_allclose(rows[0, 6:60], hrf.assumed(tr, 2.5)[:54], atol=0.01)
    assert not rows[0, :6].any()
    peak = np.argmax(rows, axis=1) * tr - [3.0, 10.25]
    assert np.ptp(peak) <= tr
    assert rows.max(axis=1) == pytest.approx([1, 1], abs=0.02)


def test_blanks_and_late_trials_have_none_and_close_trials_stay_apart():
    table = events([0.0, 4.0, 4.9, 9.0, 500.0], ["image", "blank", "image", "image", "image"])
    rows, origin = as_acquired.of_run(
        table, tr=2.0, n_volumes=20, stimulus_duration_s=1.0, **OPTIONS
    )
    assert len(rows) == 3
    assert origin == "the 3 trials of the run, stimuli of 1 s"


def test_duration_of_the_events_where_none_is_given():
    table = events([0.0, 8.0, 16.0], duration=[3.0, 3.0, "n/a"])
    rows, origin = as_acquired.of_run(
        table, tr=1.0, n_volumes=40, stimulus_duration_s=None, **OPTIONS
    )
    assert "stimuli of 3 s" in origin
    expected = as_acquired.of_onsets(np.array([0.0, 8, 16]), tr=1.0, n_volumes=40, stimulus_s=3.0)
    np.testing.assert_array_equal(rows, expected)


def test_without_events_there_is_a_reference_design():
    rows, origin = as_acquired.of_run(
        None, tr=1.0, n_volumes=100, stimulus_duration_s=2.5, **OPTIONS
    )
    assert len(rows) == 23  # 25 trials, the 10th and the 20th blank
    assert origin.startswith("a reference design (no events): a trial every 4 s")
    single, origin = as_acquired.of_run(
        events([5.0]), tr=1.0, n_volumes=100, stimulus_duration_s=2.5, **OPTIONS
    )
    assert origin.startswith("a reference design (fewer than two trials)")
    np.testing.assert_array_equal(single, rows)


def test_events_without_labels_are_refused():
    with pytest.raises(MetadataError, match="stim_name"):
        as_acquired.of_run(
            pd.DataFrame({"onset": [0.0]}),
            tr=1.0,
            n_volumes=10,
            stimulus_duration_s=1.0,
            **OPTIONS,
        )
