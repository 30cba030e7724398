"""What surrounds the single-trial fit: runs that are left out, the trial table, the summary."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError
from mebold.noiseceiling import ceilings
from mebold.singletrial import fit, hrf
from mebold.singletrial.session import prepare, shares_of

OPTIONS = {
    "label_column": "stim_name",
    "blank": {"trial_type": ["blank"]},
    "stimulus_duration_s": 2.0,
    "minimum_volumes": 50,
}


def events(labels, first=4.0):
    onsets = first + 5.0 * np.arange(len(labels))
    kinds = ["blank" if label == "none" else "new" for label in labels]
    return pd.DataFrame({"onset": onsets, "stim_name": labels, "trial_type": kinds})


def run(name, tr_out=1.0):
    return {"stem": f"sub-01_task-x_run-{name}", "session": None, "run": name, "tr_out": tr_out}


@pytest.fixture
def data(rng):
    return [100 + rng.normal(size=(30, 80)).astype(np.float32) for _ in range(2)]


def test_trials_are_in_session_order_and_blanks_are_dropped(data):
    session = prepare(
        data,
        [events(["b", "none", "a"]), events(["a", "b", "c"])],
        runs=[run("01"), run("02")],
        **OPTIONS,
    )
    assert session.trials["label"].tolist() == ["b", "a", "a", "b", "c"]
    assert session.trials["run"].tolist() == ["01", "01", "02", "02", "02"]
    assert session.trials["beta_index"].tolist() == [0, 1, 2, 3, 4]
    assert set(session.trials["session"]) == {"n/a"}
    assert [d.sum() for d in session.design] == [2, 3]


def test_runs_that_differ_in_direction_alone_stay_apart(data):
    runs = [run(None) | {"stem": f"sub-01_task-x_dir-{way}"} for way in ("AP", "PA")]
    trials = prepare(data, [events(["a", "b"]), events(["a", "b"])], runs=runs, **OPTIONS).trials
    assert set(trials["run"]) == {"n/a"}
    stems = ceilings.runs_of(trials).tolist()
    assert stems == [one["stem"] for one in runs for _ in range(2)]
    assert ceilings.runs_of(trials.drop(columns="stem")).tolist() == ["n/a"] * 4


def test_short_runs_are_left_out_with_the_reason(data, rng):
    short = rng.normal(size=(30, 20)).astype(np.float32)
    session = prepare(
        [*data, short],
        [events(["a", "b"])] * 3,
        runs=[run("01"), run("02"), run("03")],
        **OPTIONS,
    )
    assert session.used == ["sub-01_task-x_run-01", "sub-01_task-x_run-02"]
    assert session.left_out[0]["run"] == "sub-01_task-x_run-03"
    assert "20 volumes" in session.left_out[0]["reason"]


def test_trials_after_the_end_are_reported(data):
    late = events(["a", "b", "late"])
    late.loc[2, "onset"] = 200.0
    session = prepare(data, [late, events(["a", "b"])], runs=[run("01"), run("02")], **OPTIONS)
    assert [item["label"] for item in session.excluded] == ["late"]
    assert session.excluded[0]["run"] == "sub-01_task-x_run-01"


def test_trials_before_the_steady_state_are_marked_and_stay(data):
    runs = [run("01"), run("02"), run("03")]
    series = [data[0], data[0][:, :20], data[1]]
    session = prepare(series, [events(["a", "b"])] * 3, runs=runs, **OPTIONS, non_steady=[9, 7, 0])
    assert session.non_steady == [9, 0]
    assert session.trials["volume"].tolist() == [4, 9, 4, 9]
    assert session.trials["non_steady_state"].tolist() == [1, 0, 0, 0]
    assert prepare(series, [events(["a"])] * 3, runs=runs, **OPTIONS).non_steady == [0, 0]


def test_a_series_that_starts_later_shifts_its_trials(data):
    runs = [run("01") | {"start_s": 3.0}, run("02")]
    trials = prepare(data, [events(["a", "b"])] * 2, runs=runs, **OPTIONS).trials
    assert trials["volume"].tolist() == [1, 6, 4, 9]


def test_acquired_volumes_count_not_samples(data):
    short = run("02") | {"n_acquired": 49}
    session = prepare(data, [events(["a", "b"])] * 2, runs=[run("01"), short], **OPTIONS)
    assert session.used == ["sub-01_task-x_run-01"]
    assert "49 volumes acquired, fewer than 50" in session.left_out[0]["reason"]


def test_trials_close_to_the_end_are_left_out_and_listed(data):
    tables = [events(["a", "b", "a"], first=64.0), events(["a", "b"])]
    for tail, expected in ((6.0, 0), (6.01, 1), ("auto", 1), (0, 0)):
        options = OPTIONS | {"minimum_tail_s": tail}
        session = prepare(data, tables, runs=[run("01"), run("02")], **options)
        assert len(session.excluded) == expected, tail
        assert len(session.trials) == 5 - expected
    options = OPTIONS | {"minimum_tail_s": "auto"}
    session = prepare(data, tables, runs=[run("01"), run("02")], **options)
    assert session.excluded[0]["onset"] == 74.0
    assert session.excluded[0]["reason"] == "only 6.00 s of data after onset, 6.2 s needed"


def test_a_trial_just_before_the_end_does_not_spoil_the_others(rng):
    """An aborted run: two seconds of a response have an estimate that is hundreds of times off."""
    response, n_voxels, images = hrf.assumed(1.0, 2.5), 80, 40
    truth = 1 + 0.7 * rng.standard_normal((n_voxels, images))
    data, tables, runs = [], [], [run(f"{number:02}") for number in range(1, 5)]
    for number in range(4):
        order, onsets = rng.permutation(images), 4 + 3 * np.arange(images)
        order, onsets = (part[np.sort(rng.permutation(images)[:34])] for part in (order, onsets))
        length = onsets[-1] + 18
        if number == 3:
            order, onsets = order[:25], onsets[:25]
            length = onsets[-1] + 2
        signal = np.zeros((n_voxels, length + 60))
        for onset, image in zip(onsets, order, strict=True):
            signal[:, onset : onset + len(response)] += truth[:, [image]] * response
        noise = 2.5 * rng.standard_normal((n_voxels, length))
        data.append((1000 + 10 * (signal[:, :length] + noise)).astype(np.float32))
        tables.append(pd.DataFrame({"onset": onsets, "duration": 2.5, "stim_name": order}))
    found = {}
    for tail in (0, "auto"):
        options = OPTIONS | {"stimulus_duration_s": None, "minimum_tail_s": tail}
        session = prepare(data, tables, runs=runs, **options)
        result = fit.fit_glmsingle(session.data, session.design, tr=1.0, stimdur=2.5)
        found[tail] = session.trials["label"].astype(int), result
    labels, spoilt = found[0]
    assert np.median(spoilt.frac_value) <= 0.1
    assert np.abs(spoilt.betas[:, -1]).mean() > 100
    labels, mended = found["auto"]
    assert len(labels) == len(found[0][0]) - 1 - 1  # two trials: 2 and 5 s before the end
    assert np.median(mended.frac_value) >= np.median(spoilt.frac_value) + 0.05
    assert np.abs(mended.betas).mean(axis=0).max() < 5
    own = _mean_correlation(mended.betas, truth[:, labels])
    following = _mean_correlation(mended.betas[:, :-1], truth[:, labels[1:]])
    preceding = _mean_correlation(mended.betas[:, 1:], truth[:, labels[:-1]])
    assert own > _mean_correlation(spoilt.betas[:, :-2], truth[:, labels])
    assert abs(following - preceding) < 0.1


def _mean_correlation(one, other):
    one, other = (part - part.mean(axis=1, keepdims=True) for part in (one, other))
    return np.mean((one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def test_a_stimulus_lasts_as_long_as_most_events_say(data):
    tables = [events(["a", "none", "b"]), events(["a", "b"])]
    tables[0]["duration"], tables[1]["duration"] = [3.0, 9.0, 3.0], [3.0, "n/a"]
    options = OPTIONS | {"stimulus_duration_s": None}
    runs = [run("01"), run("02")]
    assert prepare(data, tables, runs=runs, **options).stimulus_duration_s == 3
    assert prepare(data, tables, runs=runs, **OPTIONS).stimulus_duration_s == 2
    without = [table.drop(columns="duration") for table in tables]
    with pytest.raises(DataError, match=r"`design\.stimulus_duration_s`"):
        prepare(data, without, runs=runs, **options)


def test_runs_that_saw_little_are_left_out(data):
    options = OPTIONS | {"minimum_coverage": 0.5, "coverage": [1.0, 0.49]}
    session = prepare(data, [events(["a", "b"])] * 2, runs=[run("01"), run("02")], **options)
    assert session.used == ["sub-01_task-x_run-01"]
    assert "49 % of the brain" in session.left_out[0]["reason"]
    seen = [np.array([1, 1, 0, 0], bool), np.array([0, 1, 0, 0], bool)]
    assert shares_of(seen) == [1.0, 0.5]


def test_no_run_left_and_mixed_intervals_are_refused(data):
    with pytest.raises(DataError, match="No run of"):
        prepare(
            data,
            [events(["a"])] * 2,
            runs=[run("01"), run("02")],
            **{**OPTIONS, "minimum_volumes": 100},
        )
    with pytest.raises(DataError, match=r"sampled every \[1.0, 1.9\] s"):
        prepare(data, [events(["a"])] * 2, runs=[run("01"), run("02", tr_out=1.9)], **OPTIONS)


def test_errors_in_events_name_the_run(data):
    with pytest.raises(ValueError, match=r"sub-01_task-x_run-02.*stim_name"):
        prepare(
            data,
            [events(["a"]), events(["a"]).drop(columns="stim_name")],
            runs=[run("01"), run("02")],
            **OPTIONS,
        )


def test_summary_of_a_fit_counts_repeats(data):
    labels = ["a", "b", "a", "c"]
    session = prepare(
        data, [events(labels), events(labels)], runs=[run("01"), run("02")], **OPTIONS
    )
    result = fit.fit(
        session,
        engine="mebold",
        hrf_library=True,
        glmdenoise=False,
        fracridge=False,
        n_pcs=2,
        pcstop=1.05,
        seed=0,
        n_threads=1,
    )
    summary = fit.summary(session, result)
    assert summary["RepeatsPerCondition"] == {"2": 2, "4": 1}
    assert summary["Trials"] == 8
    assert summary["SamplesLeftOut"] == {"sub-01_task-x_run-01": 0, "sub-01_task-x_run-02": 0}
    fields = fit.fields(result)
    assert fields["betas"].shape == (30, 8)
    assert np.all(fields["frac_value"] == 1)
    maps = fit.maps(fields | {"r2": np.where(np.arange(30) == 4, np.nan, fields["r2"])})
    assert {name: about for name, (_, _, about) in maps.items()} == {
        "r2": {"Units": "percent"},
        "hrf": {},
        "fracridge": {"Units": "fraction"},
        "onoff": {"Units": "percent"},
        "meanvol": {"Units": "as the series"},
    }
    assert maps["r2"][0][4] == 0
    np.testing.assert_array_equal(maps["hrf"][0], fields["hrf_index"])
    assert maps["hrf"][1] is np.int16
    np.testing.assert_array_equal(maps["fracridge"][0], fields["frac_value"])
