"""Single-trial fits against stored outputs of GLMsingle 1.2 (tests/golden/glmsingle/README.md)."""

from pathlib import Path

import numpy as np
import pytest

from mebold.singletrial.fit import fit_glmsingle
from mebold.singletrial.result import SingleTrialFit

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "glmsingle"
pytestmark = pytest.mark.golden


def _case(name: str) -> tuple[dict, list[np.ndarray], list[np.ndarray]]:
    """Return the stored arrays of a case, its data and its design."""
    with np.load(FOLDER / f"case_{name}.npz") as stored:
        case = dict(stored)
    n_times = case["in_n_times"]
    data = [case[f"in_data_run{run}"] for run in range(len(n_times))]
    design = [np.zeros((n, int(case["in_n_conditions"])), np.float32) for n in n_times]
    trials = zip(
        case["in_trial_run"], case["in_trial_onset_volume"], case["in_trial_condition"], strict=True
    )
    for run, onset, condition in trials:
        design[run][onset, condition] = 1
    return case, data, design


@pytest.fixture(scope="module", params=["a", "b", "b with stored responses"])
def fitted(request) -> tuple[dict, SingleTrialFit]:
    case, data, design = _case(request.param[0])
    stored = "stored" in request.param
    fit = fit_glmsingle(
        data,
        design,
        tr=float(case["in_tr"]),
        stimdur=float(case["in_stimdur"]),
        session=case.get("in_sessionindicator"),
        hrf_library=case["out_hrflibrary"] if stored else None,
        hrf_assumed=case["out_hrfassume"] if stored else None,
        want_denoise_betas=True,
        # Several blocks, threads in one of them: neither may change a number.
        chunk_voxels=173,
        n_threads=2 if stored else 1,
    )
    return case, fit


def _close(actual, expected, tolerance):
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    assert np.nanmax(np.abs(actual - expected)) < tolerance


def test_choices_are_the_same_for_every_voxel(fitted):
    case, fit = fitted
    assert np.array_equal(fit.hrf_index, case["out_typeb_HRFindex"])
    assert np.array_equal(fit.hrf_index_run, case["out_typeb_HRFindexrun"])
    assert np.array_equal(fit.noise_pool, case["out_typed_noisepool"])
    assert np.array_equal(fit.pc_voxels, case["out_typed_pcvoxels"])
    assert fit.pc_num == case["out_typed_pcnum"]
    assert np.array_equal(fit.frac_value, case["out_typed_FRACvalue"])
    assert np.allclose(fit.fractions, case["out_fracs"])
    assert fit.model == "FITHRF_GLMDENOISE_RR"
    assert fit.notes == []


def test_thresholds_and_mean(fitted):
    case, fit = fitted
    assert fit.brain_r2_threshold == pytest.approx(case["out_threshold_brainR2"], abs=1e-4)
    assert fit.pc_r2_threshold == pytest.approx(case["out_threshold_pcR2cutoff"], abs=1e-4)
    _close(fit.mean_volume, case["out_typea_meanvol"], 1e-4)


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("onoff_r2", "out_typea_onoffR2"),
        ("fithrf_r2", "out_typeb_FitHRFR2"),
        ("fithrf_r2_run", "out_typeb_R2run"),
        ("denoise_r2", "out_typec_R2"),
        ("r2", "out_typed_R2"),
        ("r2_run", "out_typed_R2run"),
    ],
)
def test_explained_variance(fitted, field, key):
    case, fit = fitted
    _close(getattr(fit, field), case[key], 5e-4)


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("onoff_betas", "out_typea_betasmd"),
        ("fithrf_betas", "out_typeb_betasmd"),
        ("denoise_betas", "out_typec_betasmd"),
        ("betas", "out_typed_betasmd"),
    ],
)
def test_betas(fitted, field, key):
    case, fit = fitted
    if key not in case:
        pytest.skip(f"{key} is not stored for this case")
    expected = case[key]
    spread = np.std(expected[case["in_voxel_group"] < 2])
    _close(getattr(fit, field) / spread, expected / spread, 2e-4)


def test_cross_validation(fitted):
    case, fit = fitted
    stored = case["out_typed_glmbadness"]
    silent = case["in_voxel_group"] == 3
    assert np.array_equal(fit.glm_badness[silent], stored[silent])
    _close(
        fit.glm_badness[~silent] / stored[~silent, :1], stored[~silent] / stored[~silent, :1], 1e-4
    )
    ridge = case["out_typed_rrbadness"]
    _close(fit.rr_badness / ridge[:, :1], ridge / ridge[:, :1], 1e-4)
    _close(fit.xval_trend / case["out_typed_xvaltrend"], np.ones(11), 1e-5)
    _close(fit.scale_offset, case["out_typed_scaleoffset"], 2e-4)


def test_components_but_for_their_sign(fitted):
    case, fit = fitted
    for run, actual in enumerate(fit.pc_regressors):
        expected = case[f"out_typed_pcregressors_run{run}"]
        sign = np.sign(np.sum(actual * expected, axis=0))
        _close(actual * sign, expected, 1e-3)
        _close((actual * sign)[:, :4], expected[:, :4], 2e-5)
