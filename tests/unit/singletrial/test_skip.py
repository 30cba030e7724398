"""Volumes before the steady state: no part of a fit, though its trials keep their times."""

from pathlib import Path

import numpy as np
import pytest

from mebold.confounds.drifts import polynomials
from mebold.errors import ConfigError, DataError
from mebold.singletrial import blocks, hrf, stream
from mebold.singletrial.fit import fit_glmsingle
from mebold.singletrial.inputs import collect
from mebold.singletrial.upstream import _refuse

TR, STIMDUR, N, FIRST = 1.5, 1.0, 100, 4
#: A relaxed magnetisation, as on the `scanner` phantom.
BRIGHT = np.r_[1.43, 1.085, 1.016, 1.004, np.ones(N - FIRST)]
EVERYTHING = (
    *("betas", "fithrf_betas", "r2", "onoff_r2", "mean_volume", "hrf_index", "frac_value"),
    *("glm_badness", "rr_badness", "scale_offset", "r2_run", "trial_condition"),
)


@pytest.fixture(scope="module")
def session():
    """Return data, design and betas of two runs whose first trial starts at volume 2."""
    rng = np.random.default_rng(5)
    library = hrf.library(TR, STIMDUR)
    tuning = 8 + 6 * rng.standard_normal((30, 12))
    tuning[20:] = 0
    data, design, truth = [], [], []
    for run in range(3):
        matrix = np.zeros((N, 12), np.float32)
        condition = (np.arange(18) + 5 * run) % 12
        matrix[2 + 5 * np.arange(18), condition] = 1
        regressors = blocks.trial_regressors(2 + 5 * np.arange(18), library[:, 4], N)
        response = tuning[:, condition] @ regressors.T
        noise = 2 * rng.standard_normal((30, N)) + np.cumsum(rng.standard_normal((30, N)), 1) / 4
        data.append((400 + response + noise).astype(np.float32))
        design.append(matrix)
        truth.append(100 * tuning[:, condition] / 400)
    return data, design, np.hstack(truth)


def fit(data, design, **options):
    return fit_glmsingle(data, design, tr=TR, stimdur=STIMDUR, **{"n_pcs": 3, **options})


def brightened(data):
    return [(run * BRIGHT).astype(np.float32) for run in data]


def error(result, truth):
    return float(np.sqrt(np.mean((result.betas - truth)[:20] ** 2)))


def test_bright_volumes_change_nothing_in_any_stage(session):
    data, design, truth = session
    clean, bright = (fit(d, design, skip=[FIRST] * 3) for d in (data, brightened(data)))
    for name in EVERYTHING:
        np.testing.assert_array_equal(getattr(clean, name), getattr(bright, name), err_msg=name)
    np.testing.assert_array_equal(clean.trial_volume[:3], [2, 7, 12])
    assert [len(part) for part in clean.pc_regressors] == [N - FIRST] * 3
    assert "1 trials start in the first 4 volumes" in clean.notes[0]
    # Without them the betas are those of whole steady runs, within what four volumes hold.
    usual = fit(data, design)
    assert error(bright, truth) < 1.1 * error(usual, truth)
    steady = np.flatnonzero(clean.trial_volume >= FIRST)
    agreement = np.corrcoef(
        bright.betas[:20][:, steady].ravel(), usual.betas[:20][:, steady].ravel()
    )
    assert agreement[0, 1] > 0.98
    assert error(fit(brightened(data), design), truth) > 2 * error(bright, truth)


def test_leaving_out_equals_one_regressor_per_sample(session):
    """The model with a column of its own for every sample left out, by plain least squares."""
    data, design, _ = session
    options = {"want_library": False, "want_glmdenoise": False, "want_fracridge": False}
    found = fit(brightened(data), design, skip=[FIRST, 0, 2], **options)
    trials = np.cumsum([0, 18, 18, 18])
    mean = found.mean_volume.astype(float)[:, None]
    for run, first in enumerate([FIRST, 0, 2]):
        times = np.nonzero(design[run])[0]
        regressors = blocks.trial_regressors(times, hrf.assumed(TR, STIMDUR), N)
        # A polynomial of the degree of the shorter run.
        degree = round((N - first) * TR / 120)
        own = np.eye(N)[:, :first]
        matrix = np.hstack([regressors, polynomials(N, degree), own])
        betas = np.linalg.lstsq(matrix, (data[run] * BRIGHT).T, rcond=None)[0][:18].T
        part = found.betas[:, trials[run] : trials[run + 1]]
        np.testing.assert_allclose(part, 100 * betas / mean, rtol=2e-3, atol=2e-3)


def test_zero_is_no_skip_at_all(session):
    data, design, _ = session
    plain, none = fit(data, design), fit(data, design, skip=[0, 0, 0])
    for name in EVERYTHING:
        np.testing.assert_array_equal(getattr(plain, name), getattr(none, name), err_msg=name)
    assert not none.notes


def test_regressors_lose_the_same_volumes(session):
    data, design, _ = session
    own = [np.random.default_rng(k).standard_normal((N, 2)) for k in range(3)]
    wild = [np.vstack([1e6 * part[:FIRST], part[FIRST:]]) for part in own]
    one, other = (fit(data, design, skip=[FIRST] * 3, extra_regressors=x) for x in (own, wild))
    np.testing.assert_array_equal(one.betas, other.betas)


def test_a_trial_of_which_nothing_is_left_has_no_beta(session):
    data, design, _ = session
    short = np.r_[0, 1, 0.5, 0][:, None]
    result = fit(data, design, skip=[7, 0, 0], hrf_library=short, hrf_assumed=short[:, 0])
    assert "of 1 nothing is left" in result.notes[0]
    assert not result.fithrf_betas[:, 0].any()
    assert np.isfinite(result.betas).all()


@pytest.mark.parametrize("skip", [[1, 1], [0, 0, -1], [0, 0, N]])
def test_impossible_counts_are_refused(session, skip):
    with pytest.raises(DataError, match="one number of volumes is needed for each run"):
        fit(*session[:2], skip=skip)


def test_the_original_package_is_not_given_trials_before_the_start(session):
    names = ("session", "extra_regressors", "hrf_library", "hrf_assumed", "max_poly_degree")
    known = {"tr": TR, "stimdur": STIMDUR, "want_library": True, "xval_groups": None}
    known |= dict.fromkeys(names)
    with pytest.raises(ConfigError, match="cannot fit trials that start in volumes left out"):
        _refuse(collect(*session[:2], **known, skip=[FIRST] * 3), keep_extra=False)
    _refuse(collect(*session[:2], **known, skip=[2] * 3), keep_extra=False)


def resident_kb(path):
    """Return how much of the mappings of a file is in memory."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line.startswith("Rss:"):
            found += inside * int(line.split()[1])
        elif not line.split()[0].endswith(":"):
            inside = line.endswith(str(path))
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells, others do not")
def test_pages_of_a_map_are_given_back_without_its_first_volumes(tmp_path):
    path = tmp_path / "run.npy"
    values = np.arange(4_000_000, dtype=np.float32).reshape(40, -1)
    np.save(path, values)
    shared = np.load(path, mmap_mode="r")[:, FIRST:]
    assert shared.sum() > 0
    assert resident_kb(path) > 15_000
    for rows in (slice(0, 20), slice(20, 40)):
        np.testing.assert_array_equal(stream.read_run(shared, rows), values[rows, FIRST:])
    assert resident_kb(path) < 1000
