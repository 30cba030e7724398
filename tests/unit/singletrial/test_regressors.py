"""Extra regressors by name: patterns, missing values, messages; and what they do to a fit."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import ConfigError, DataError
from mebold.singletrial import fit, regressors
from mebold.singletrial.session import prepare


def table(**columns):
    start = {"trans_x": [1.0, 2, 3, 6], "trans_y": [0.0, 0, 0, 0], "rot_x": [np.nan, 1, 2, 3]}
    return pd.DataFrame(start | columns)


def chosen(*names, tables=None):
    tables = [table(), table(motion_outlier00=[0, 0, 1, 0])] if tables is None else tables
    return regressors.of_runs(tables, names, runs=[f"run-{n}" for n in range(len(tables))])


def test_patterns_choose_columns_once_and_standardise_them():
    found = chosen("trans_*", "trans_x")
    assert [part.shape for part in found] == [(4, 2), (4, 2)]
    np.testing.assert_allclose(found[0][:, 0], (np.array([1, 2, 3, 6]) - 3) / np.sqrt(3.5))
    assert not found[0][:, 1].any()


def test_a_pattern_may_miss_in_a_run_and_a_name_may_not():
    assert [part.shape[1] for part in chosen("motion_outlier*")] == [0, 1]
    with pytest.raises(ConfigError, match=r"run-0 has no confound 'motion_outlier00'.*trans_x"):
        chosen("motion_outlier00")
    with pytest.raises(ConfigError, match=r"no confound 'a_comp_cor_\*'"):
        chosen("a_comp_cor_*")


def test_the_first_value_of_a_derivative_is_that_of_the_second():
    values = chosen("rot_x")[0][:, 0]
    assert values[0] == values[1]
    with pytest.raises(DataError, match="'rot_x' has no value in row 3 of 4"):
        chosen("rot_x", tables=[table(rot_x=[1, 2, np.nan, 3])])


def test_none_asked_for_is_none():
    assert chosen() is None


def test_a_confound_of_the_fit_takes_its_signal_out_of_the_betas(rng):
    labels = list("abcd")
    wave = [rng.standard_normal(80) for _ in range(3)]
    data = [100 + rng.normal(size=(40, 80)) * 0.1 for _ in wave]
    loud = [series + 20 * x for series, x in zip(data, wave, strict=True)]
    events = pd.DataFrame({"onset": 4.0 + 15 * np.arange(4), "stim_name": labels})
    tables = [pd.DataFrame({"x": x, "y": rng.normal(size=80)}) for x in wave]
    options = {
        "runs": [{"stem": f"r{n}", "session": None, "run": n, "tr_out": 1.0} for n in "123"],
        "label_column": "stim_name",
        "blank": {},
        "stimulus_duration_s": 2.0,
        "minimum_volumes": 5,
    }
    settings = {"engine": "mebold", "hrf_library": False, "glmdenoise": False, "fracridge": False}
    settings |= {"n_pcs": 2, "pcstop": 1.05, "seed": 0, "n_threads": 1}

    def spread(series, names):
        found = regressors.of_runs(tables, names, runs=["r1", "r2", "r3"])
        session = prepare(series, [events] * 3, confounds=found, **options)
        return fit.fit(session, **settings).betas.std()

    clean = spread(data, ["x"])
    assert spread(loud, ["x"]) == pytest.approx(clean, rel=0.05)
    assert spread(loud, ["y"]) > 20 * clean
    denoised = settings | {"glmdenoise": True, "pcstop": -0.0}
    found = regressors.of_runs(tables, ["x"], runs=["r1", "r2", "r3"])
    session = prepare(loud, [events] * 3, confounds=found, **options)
    # No component is used: the confounds stay, other than in the reference program.
    assert fit.fit(session, **denoised).betas.std() == pytest.approx(clean, rel=0.05)
