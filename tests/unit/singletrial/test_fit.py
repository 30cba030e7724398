"""Special situations of the single-trial fit, invariances, memory maps, refusals."""

import logging

import numpy as np
import pytest
from scipy import sparse

from mebold.confounds.drifts import polynomials
from mebold.errors import ConfigError, DataError
from mebold.singletrial import stream
from mebold.singletrial.fit import fit_glmsingle

TR, STIMDUR, N_VOXELS = 1.5, 1.0, 40


def _session(n_volumes=(90, 90, 90), n_trials=15, n_conditions=20, seed=0):
    """Return data and design; half of the voxels respond."""
    rng = np.random.default_rng(seed)
    shape = np.array([0, 0.2, 0.8, 1, 0.7, 0.3, 0.1, -0.1, -0.1])
    tuning = 5 + 4 * rng.standard_normal((N_VOXELS, n_conditions))
    tuning[N_VOXELS // 2 :] = 0
    data, design = [], []
    for run, length in enumerate(n_volumes):
        matrix = np.zeros((length, n_conditions), np.float32)
        onsets = 3 + 4 * np.arange(n_trials)
        matrix[onsets, (np.arange(n_trials) + 5 * run) % n_conditions] = 1
        response = np.apply_along_axis(np.convolve, 1, tuning @ matrix.T, shape)[:, :length]
        noise = 3 * rng.standard_normal((N_VOXELS, length))
        noise += rng.standard_normal((N_VOXELS, 1)) * np.cumsum(rng.standard_normal(length)) / 2
        data.append((400 + response + noise).astype(np.float32))
        design.append(matrix)
    return data, design


def _fit(data, design, **options):
    return fit_glmsingle(data, design, tr=TR, stimdur=STIMDUR, **{"n_pcs": 3, **options})


@pytest.fixture(scope="module")
def session():
    return _session()


@pytest.fixture(scope="module")
def whole(session):
    return _fit(*session)


BIG = ("betas", "fithrf_betas", "r2", "hrf_index", "frac_value", "glm_badness", "rr_badness")


def _same(one, other, names=BIG, rtol=2e-5):
    for name in names:
        assert np.allclose(
            getattr(one, name), getattr(other, name), rtol=rtol, atol=2e-5, equal_nan=True
        ), name


def test_blocks_threads_and_memory_maps_change_nothing(session, whole, tmp_path):
    data, design = session
    maps = []
    for run, series in enumerate(data):
        np.save(tmp_path / f"{run}.npy", series)
        maps.append(np.load(tmp_path / f"{run}.npy", mmap_mode="r"))
    store = np.lib.format.open_memmap(tmp_path / "betas.npy", "w+", np.float32, whole.betas.shape)
    fit = _fit(
        maps, design, chunk_voxels=7, n_threads=2, out={"betas": store, "fithrf_betas": None}
    )
    assert fit.betas is store
    assert fit.fithrf_betas is None
    _same(fit, whole, [name for name in BIG if name != "fithrf_betas"])
    again = _fit(maps, design, chunk_voxels=7, n_threads=1)
    assert np.array_equal(again.betas, store)


def test_pages_of_a_memory_map_are_given_back_only_when_that_is_safe(tmp_path):
    np.save(tmp_path / "run.npy", np.arange(40_000, dtype=np.float32).reshape(40, 1000))
    private = np.load(tmp_path / "run.npy", mmap_mode="c")
    private[3] = -1
    assert (stream.read_run(private, slice(0, 10))[3] == -1).all()
    # A copy-on-write map would lose its changes with its pages.
    assert (private[3] == -1).all()
    shared = np.load(tmp_path / "run.npy", mmap_mode="r")
    read = stream.read_run(shared, slice(5, 9), only=np.array([True, False, True, True]))
    assert np.array_equal(read, shared[[5, 7, 8]])


def test_detrending_keeps_the_mean_and_silences_rounding(rng):
    basis = polynomials(200, 2).astype(np.float32)
    times = np.linspace(-1, 1, 200)
    wave = np.sin(40 * times)
    series = np.array([900 + 30 * times**2, 900 + 30 * times + wave, np.zeros(200), wave + 900])
    # The first has nothing but a drift, and rounding of single precision.
    series[0] += rng.uniform(-5e-5, 5e-5, 200)
    mean, energy = stream.detrend(clean := series.astype(np.float32), basis)
    assert np.allclose(mean, series.mean(axis=1), atol=1e-5)
    assert energy[0] == energy[2] == 0
    assert not clean[[0, 2]].any()
    left = wave - basis @ (basis.T @ wave)
    assert np.allclose(clean[[1, 3]], left, atol=1e-4)
    assert np.allclose(energy[[1, 3]], left @ left, rtol=1e-4)


def test_inputs_stay_as_they_are(session):
    data, design = session
    for series in data:
        series.flags.writeable = False
    copies = [matrix.copy() for matrix in design]
    _fit(data, design)
    assert all(np.array_equal(*pair) for pair in zip(design, copies, strict=True))


def test_integer_data_and_sparse_designs_are_accepted(session):
    data, design = session
    whole_numbers = [np.round(series).astype(np.int16) for series in data]
    expected = _fit([series.astype(np.float32) for series in whole_numbers], design)
    actual = _fit(whole_numbers, [sparse.csr_matrix(matrix) for matrix in design])
    assert np.array_equal(actual.betas, expected.betas)


def test_percent_betas_do_not_depend_on_the_unit_of_the_data(session, whole):
    data, design = session
    scaled = _fit([series * np.float32(8) for series in data], design)
    _same(scaled, whole, ("betas", "r2", "hrf_index", "frac_value"))
    assert np.allclose(scaled.mean_volume, whole.mean_volume * 8)


def test_slow_drifts_do_not_matter(session, whole):
    data, design = session
    drift = np.linspace(-1, 1, 90, dtype=np.float32)
    drifting = _fit([series + 20 * drift for series in data], design)
    _same(drifting, whole, ("betas", "r2"), rtol=1e-3)


def test_silent_voxels_are_not_fitted(session, whole):
    data, design = session
    data = [series.copy() for series in data]
    for series in data:
        series[4], series[30] = 0, 1000 / 3
    fit = _fit(data, design)
    for voxel in (4, 30):
        assert np.isnan(fit.onoff_r2[voxel])
        assert np.isnan(fit.r2[voxel])
        assert np.isnan(fit.r2_run[voxel]).all()
        assert np.isnan(fit.rr_badness[voxel]).all()
        assert np.isnan(fit.scale_offset[voxel]).all()
        assert (fit.hrf_index[voxel], fit.frac_value[voxel]) == (0, 1)
        assert not fit.glm_badness[voxel].any()
        assert not fit.noise_pool[voxel]
        assert not fit.pc_voxels[voxel]
        assert np.isnan(fit.betas[voxel]).all()
        assert np.isnan(fit.fithrf_betas[voxel]).all()
    assert fit.lacking.sum() == 2 * len(data)


@pytest.mark.parametrize("level", [0, 700])
def test_a_voxel_that_one_run_lacks_is_not_fitted(session, whole, level):
    data, design = session
    data = [series.copy() for series in data]
    # Nothing but a slow drift counts as no data, as outside the field of view after resampling.
    data[1][[6, 33]] = level * np.linspace(1, 1.1, data[1].shape[1])
    fit = _fit(data, design)
    bad = np.isin(np.arange(N_VOXELS), [6, 33])
    for values in (fit.betas, fit.fithrf_betas, fit.r2, fit.onoff_r2):
        assert np.isnan(values[bad]).all()
        assert np.isfinite(values[~bad]).all()
    assert np.array_equal(np.argwhere(fit.lacking), [[6, 1], [33, 1]])
    assert any("2 of 40 voxels have no data" in note and "2 in run 2" in note for note in fit.notes)
    assert not (fit.noise_pool | fit.pc_voxels)[bad].any()


@pytest.mark.parametrize("run", [0, 2])
def test_a_sample_that_is_not_finite_costs_only_its_voxel(session, run):
    data, design = session
    data = [series.copy() for series in data]
    data[run][6, 11], data[run][33, 0] = np.nan, np.inf
    fit = _fit(data, design)
    bad = np.zeros(N_VOXELS, bool)
    bad[[6, 33]] = True
    assert any("2 of 40 voxels have no data" in note for note in fit.notes)
    for name in ("betas", "fithrf_betas", "r2", "onoff_r2", "mean_volume", "rr_badness"):
        values = getattr(fit, name)
        assert np.isnan(values[bad]).all(), name
        assert np.isfinite(values[~bad]).all(), name
    assert not (fit.noise_pool | fit.pc_voxels)[bad].any()
    without = _fit([np.delete(series, [6, 33], axis=0) for series in data], design)
    assert np.allclose(fit.betas[~bad], without.betas, atol=1e-4)


def test_no_repeats_leave_models_a_and_b(caplog):
    data, design = _session(n_volumes=(90, 90), n_conditions=30)
    design = [np.roll(design[0], 0, axis=1), np.roll(design[0], 15, axis=1)]
    with caplog.at_level(logging.WARNING):
        fit = _fit(data, design)
    assert fit.model == "FITHRF"
    assert "nothing can be cross-validated" in caplog.text
    assert "GLMdenoise and fractional ridge" in fit.notes[0]
    assert fit.betas is fit.fithrf_betas
    assert np.isfinite(fit.betas).all()
    assert fit.rr_badness is fit.glm_badness is fit.frac_value is fit.noise_pool is None
    assert np.array_equal(fit.r2, fit.fithrf_r2.max(axis=1))
    fixed = _fit(data, design, pcstop=-2, fractions=0.5)
    assert (fixed.model, fixed.pc_num) == ("FITHRF_GLMDENOISE_RR", 2)
    assert (fixed.frac_value == 0.5).all()


def test_repeats_within_one_run_do_not_count():
    data, design = _session(n_volumes=(90,), n_conditions=5)
    assert design[0].sum(axis=0).tolist() == [3] * 5
    assert _fit(data, design).model == "FITHRF"
    assert _fit(data, design, pcstop=-1, fractions=[0.7]).model == "FITHRF_GLMDENOISE_RR"


def test_runs_that_are_tested_together_are_no_partners(session):
    fit = _fit(*session, xval_groups=[[0, 1, 2]])
    assert fit.model == "FITHRF"


def test_late_trials_do_not_stop_the_fit(session, whole):
    data, design = session
    late = [matrix.copy() for matrix in design]
    late[1][88, 0] = late[2][89, 3] = 1
    fit = _fit(data, late)
    assert sum("start too late" in note for note in fit.notes) == 2
    assert np.isfinite(fit.betas).all()
    last = [30, len(fit.betas[0]) - 1]
    assert fit.trial_volume[last].tolist() == [88, 89]
    # The last volume sees nothing of its trial; all other trials hardly notice.
    assert np.abs(fit.fithrf_betas[:, last[1]]).max() == 0
    others = np.delete(fit.fithrf_betas, last, axis=1)
    same = fit.hrf_index == whole.hrf_index
    assert same.mean() > 0.8
    assert np.corrcoef(others[same].ravel(), whole.fithrf_betas[same].ravel())[0, 1] > 0.99


def test_runs_of_different_length_with_regressors():
    data, design = _session(n_volumes=(90, 77, 101))
    rng = np.random.default_rng(1)
    extra = [rng.standard_normal((n, k)) for n, k in ((90, 1), (77, 3), (101, 2))]
    fit = _fit(data, design, extra_regressors=extra)
    assert np.isfinite(fit.betas).all()
    # Regressors may be absent in the first run without switching off those of the others.
    fit = _fit(data, design, extra_regressors=[None, *extra[1:]], keep_extra_regressors=True)
    plain = _fit(data, design)
    assert np.allclose(
        fit.fithrf_betas[:, :15][fit.hrf_index == plain.hrf_index],
        plain.fithrf_betas[:, :15][fit.hrf_index == plain.hrf_index],
        atol=1e-3,
    )
    assert not np.allclose(fit.fithrf_betas[:, 15:], plain.fithrf_betas[:, 15:], atol=1e-3)


def test_regressors_that_add_nothing_are_harmless(session, whole):
    data, design = session
    times = np.linspace(-1, 1, 90)
    empty = [np.column_stack([np.zeros(90), np.ones(90), 3 * times])] * 3
    fit = _fit(data, design, extra_regressors=empty)
    _same(fit, whole, ("betas", "fithrf_betas", "r2"), rtol=1e-3)


def test_dropped_regressors_are_reported(session):
    extra = [np.random.default_rng(k).standard_normal((90, 2)) for k in range(3)]
    options = {"extra_regressors": extra, "want_glmdenoise": False}
    dropped, kept = _fit(*session, **options), _fit(*session, keep_extra_regressors=True, **options)
    assert any("keep_extra_regressors keeps them" in note for note in dropped.notes)
    assert not kept.notes
    plain = _fit(*session, want_glmdenoise=False)
    same = dropped.hrf_index == plain.hrf_index
    assert same.sum() > N_VOXELS / 2
    assert np.allclose(dropped.betas[same], plain.betas[same], atol=1e-5)
    assert not np.allclose(kept.betas, dropped.betas, atol=1e-3)


def test_without_responding_voxels_the_best_hundred_decide(session):
    fit = _fit(*session, pc_r2_cutoff=100.0)
    assert fit.pc_voxels.sum() == N_VOXELS
    allowed = np.arange(N_VOXELS) % 2 == 0
    fit = _fit(*session, pc_r2_cutoff=100.0, pc_r2_mask=allowed)
    assert np.array_equal(fit.pc_voxels, allowed)


def test_an_empty_noise_pool_leaves_out_glmdenoise(session):
    fit = _fit(*session, brain_exclude=np.ones(N_VOXELS, bool))
    assert fit.model == "FITHRF_RR"
    assert any("without a noise pool" in note for note in fit.notes)
    zero = _fit(*session, brain_r2=0.0)
    assert zero.brain_r2_threshold == 0
    assert zero.model == "FITHRF_RR"


def test_dependent_trials_share_the_response_of_least_length(session):
    # With a response of one sample, trials at the rim of the polynomials stay apart; a response
    # that never ends makes all of them depend on each other and on the drift.
    data, design = session
    fit = _fit(data, design, hrf_library=np.ones((200, 1)), hrf_assumed=np.ones(200), n_pcs=2)
    assert np.isfinite(fit.betas).all()


def test_longer_data_or_design_is_cut_and_noted(session, whole):
    data, design = session
    longer = [np.hstack([series, series[:, :4]]) for series in data]
    fit = _fit(longer, design)
    assert np.allclose(fit.betas, whole.betas, atol=1e-4)
    assert len(fit.notes) == 3
    assert "94 volumes of data, 90 of design" in fit.notes[0]


def test_fractions_are_sorted_and_chosen_from(session):
    fit = _fit(*session, fractions=[0.2, 0.8, 0.2, 0.5])
    assert fit.fractions.tolist() == [0.8, 0.5, 0.2]
    assert fit.rr_badness.shape == (N_VOXELS, 3)
    best = fit.fractions[np.argmin(fit.rr_badness, axis=1)]
    assert np.array_equal(fit.frac_value, best.astype(np.float32))


def test_a_single_fraction_of_one_is_least_squares(session):
    fit = _fit(*session, fractions=1.0, want_denoise_betas=True)
    assert fit.scale_offset is None
    assert fit.rr_badness is None
    assert np.array_equal(fit.betas, fit.denoise_betas)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_pcs": -1}, ConfigError, "n_pcs is -1"),
        ({"pcstop": -4}, ConfigError, "up to n_pcs = 3"),
        ({"pcstop": 0.5}, ConfigError, "pcstop is 0.5"),
        ({"fractions": [0.5, 1.2]}, ConfigError, "above 0 and up to 1"),
        ({"fractions": 0}, ConfigError, "above 0 and up to 1"),
        ({"session": [1, 2]}, ConfigError, "2 entries for 3 runs"),
        ({"xval_groups": [[0, 3]]}, ConfigError, "from 0 to 2"),
        ({"xval_groups": [[0, 1], [1, 2]]}, ConfigError, "at most once"),
        ({"max_poly_degree": [1, 2]}, ConfigError, "each of the 3 runs"),
        ({"hrf_library": np.zeros((5, 2))}, ConfigError, "positive maximum"),
        ({"extra_regressors": [np.ones((90, 1))]}, DataError, "1 entries for 3 runs"),
        ({"extra_regressors": [np.ones((80, 1))] * 3}, DataError, "run 1: extra regressors"),
        ({"pc_r2_mask": np.ones(3, bool)}, DataError, r"pc_r2_mask has shape \(3,\)"),
        ({"out": {"betas": np.empty((2, 2))}}, DataError, r"needed is \(40, 45\)"),
        ({"out": {"r2": np.empty((2, 2))}}, ConfigError, "no field 'r2'"),
    ],
)
def test_impossible_options_are_refused(session, change, error, message):
    with pytest.raises(error, match=message):
        _fit(*session, **change)


def _without_trials(data, design):
    return data, [design[0], np.zeros_like(design[1]), design[2]]


def _two_at_once(data, design):
    changed = design[0].copy()
    changed[3, 7] = 1
    return data, [changed, *design[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_trials, "run 2 has no trial"),
        (_two_at_once, "run 1: two conditions start at volume 3"),
        (lambda d, m: (d, [2 * m[0], *m[1:]]), "only 0 and 1"),
        (lambda d, m: (d[:2], m), "2 runs of data and 3 of design"),
        (lambda d, m: (d[0], m), r"data is one array of shape \(40, 90\)"),
        (lambda d, m: (d, m[0]), r"design is one array of shape \(90, 20\)"),
        (lambda d, m: ([d[0][:5], *d[1:]], m), "runs differ in voxels"),
        (lambda d, m: (d, [m[0][:, :4], *m[1:]]), "runs differ in conditions"),
        (lambda d, m: ([s[0] for s in d], m), "both must have two axes"),
        (lambda d, m: ([s * np.nan for s in d], m), "all 40 voxels have no data"),
        (lambda d, m: ([s[:0] for s in d], m), "no voxels"),
    ],
)
def test_impossible_inputs_are_refused(session, change, message):
    with pytest.raises(DataError, match=message):
        _fit(*change(*session))
