"""NORDIC: truth on a small phantom, options beyond the reference program, unusable input."""

import itertools
import math
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import ndimage

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic.denoise import nordic, shared_gfactor
from mebold.nordic.noise_volumes import append_noise_scan, detect_noise_volumes

SHAPE, N, SIGMA = (24, 26, 14), 40, 20.0


def phantom(noise_volumes=0, seed=0, te=1.0, shape=SHAPE, n=N, hill=0.0):
    """Three components in complex noise whose level varies slowly over the image."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, k) for k in shape), indexing="ij")
    t = np.arange(n)
    signal = te * 800 * np.exp(-(((x / 0.8) ** 2 + (y / 0.8) ** 2 + z**2) ** 2))
    maps = [np.cos(3 * x + y), np.sin(2 * y - z), np.cos(2 * z - x)]
    courses = [np.sin(0.7 * t), np.cos(1.1 * t), 3 * (t / n - 0.5)]
    change = sum(0.05 * m[..., None] * c for m, c in zip(maps, courses, strict=True))
    angle = (2 * x * y + z)[..., None] + 0.3 * x[..., None] * np.sin(0.4 * t)
    clean = signal[..., None] * (1 + change) * np.exp(1j * angle)
    clean = np.concatenate([clean, np.zeros((*shape, noise_volumes))], axis=3)
    level = SIGMA * (1 + 0.2 * np.cos(x) * np.cos(2 * y))
    level += SIGMA * hill * np.exp(-((x / 0.6) ** 2) - (y / 0.6) ** 2 - (z / 0.8) ** 2)
    noise = rng.standard_normal((2, *clean.shape))
    data = clean + level[..., None] * (noise[0] + 1j * noise[1])
    return {
        "magnitude": np.abs(data).astype(np.float32),
        "phase": np.angle(data).astype(np.float32),
        "data": data,
        "clean": clean,
        "level": level,
        "maps": [signal * m for m in maps],
        "courses": courses,
    }


def complex_of(result):
    return result.magnitude * np.exp(1j * result.phase)


@pytest.fixture(scope="module")
def truth():
    return phantom()


@pytest.fixture(scope="module")
def denoised(truth):
    return nordic(truth["magnitude"], truth["phase"])


def rms(values):
    return np.sqrt(np.mean(np.abs(values) ** 2))


def test_error_against_noise_free_series_falls_to_less_than_half(truth, denoised):
    before = rms(truth["data"] - truth["clean"])
    after = rms(complex_of(denoised) - truth["clean"])
    compat = nordic(truth["magnitude"], truth["phase"], compat=True)
    inner = np.s_[:-1]
    reference = rms(complex_of(compat)[inner] - truth["clean"][inner])
    assert after < 0.5 * before
    assert rms(complex_of(denoised)[inner] - truth["clean"][inner]) <= reference
    head = head_of(truth)
    head[-1] = False
    before, after, reference = (
        rms((data - truth["clean"])[head])
        for data in (truth["data"], complex_of(denoised), complex_of(compat))
    )
    assert after < 0.5 * before
    assert after <= reference


def head_of(series):
    """Voxels well above the noise: (x, y, z) bool."""
    return np.abs(series["clean"]).mean(axis=3) > 10 * SIGMA


def test_residual_holds_no_signal(truth, denoised):
    residual = truth["data"] - complex_of(denoised)
    reference = np.exp(1j * np.angle(truth["clean"]))
    for weights, course in zip(truth["maps"], truth["courses"], strict=True):
        centred = course - course.mean()
        lost = (residual / reference).real @ centred / (centred @ centred)
        fraction = np.vdot(weights, lost) / np.vdot(weights, weights) / 0.05
        assert abs(fraction) < 0.05
    mean_residual = (residual / reference).mean(axis=3)
    assert np.abs(mean_residual).mean() < 0.2 * SIGMA
    head = head_of(truth)
    for weights in (np.abs(truth["clean"]).mean(axis=3), *truth["maps"]):
        assert abs(np.corrcoef(mean_residual.real[head], weights[head])[0, 1]) < 0.2


def test_noise_level_is_right(truth, denoised):
    ratio = denoised.noise_sd / truth["level"]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert np.quantile(np.abs(ratio - 1), 0.9) < 0.12


@pytest.mark.parametrize(("noise_volumes", "tolerance"), [(0, 0.05), (3, 0.02)])
def test_noise_level_is_right_in_the_head_and_where_it_peaks(noise_volumes, tolerance):
    series = phantom(noise_volumes, shape=(40, 42, 18), n=60, hill=0.8)
    result = nordic(series["magnitude"], series["phase"], noise_volumes=noise_volumes)
    ratio, head = result.noise_sd / series["level"], head_of(series)
    bands = np.quantile(series["level"][head], [0, 0.25, 0.5, 0.75, 0.9, 1])
    for low, high in itertools.pairwise(bands):
        here = head & (series["level"] >= low) & (series["level"] <= high)
        assert np.median(ratio[here]) == pytest.approx(1, abs=tolerance)
    assert np.median(ratio[~head]) == pytest.approx(1, abs=tolerance)


def test_noise_volumes_make_the_noise_level_better():
    series = phantom(noise_volumes=3)
    result = nordic(series["magnitude"], series["phase"], noise_volumes=3)
    ratio = result.noise_sd / series["level"]
    assert np.median(ratio) == pytest.approx(1, abs=0.01)
    assert rms(ratio - 1) < 0.04


def test_residual_sd_is_that_of_the_residual(truth, denoised):
    residual = truth["data"] - complex_of(denoised)
    # The stabilised phase differs between volumes, the spread about the mean hardly does.
    expected = np.sqrt(np.sum(np.abs(residual) ** 2, axis=3) / (N - 1))
    np.testing.assert_allclose(denoised.residual_sd, expected, rtol=0.1)


def test_last_row_is_denoised(truth, denoised):
    compat = nordic(truth["magnitude"], truth["phase"], compat=True)
    assert not compat.magnitude[-1].any()
    before, after = truth["data"][-1], complex_of(denoised)[-1]
    assert rms(after - truth["clean"][-1]) < 0.6 * rms(before - truth["clean"][-1])
    first_changed = SHAPE[0] - 14 - denoised.kernel_size[0]
    unchanged = np.s_[: first_changed + 1]
    np.testing.assert_allclose(
        compat.magnitude[unchanged], denoised.magnitude[unchanged], rtol=1e-4, atol=1e-2
    )


def test_result_does_not_depend_on_scale_unit_or_type(truth, denoised):
    options = {"threshold": denoised.threshold}
    scaled = nordic(1e-7 * truth["magnitude"], np.degrees(truth["phase"]), **options)
    np.testing.assert_allclose(1e7 * scaled.magnitude, denoised.magnitude, rtol=1e-3, atol=0.02)
    np.testing.assert_allclose(1e7 * scaled.gfactor, denoised.gfactor, rtol=1e-4)
    whole = np.rint(truth["magnitude"])
    as_integer, as_float = (
        nordic(whole.astype(kind), truth["phase"]).magnitude for kind in (np.int16, np.float64)
    )
    np.testing.assert_array_equal(as_integer, as_float)


def test_input_is_left_alone_and_any_memory_order_is_equal(truth, denoised):
    magnitude, phase = (np.asfortranarray(truth[key]) for key in ("magnitude", "phase"))
    magnitude.setflags(write=False)
    phase.setflags(write=False)
    np.testing.assert_array_equal(nordic(magnitude, phase).magnitude, denoised.magnitude)


def test_threads_change_nothing_and_are_all_used(truth, denoised):
    names = set()

    def note(*_):
        names.update(thread.name for thread in threading.enumerate())

    result = nordic(truth["magnitude"], truth["phase"], n_threads=3, progress=note)
    np.testing.assert_array_equal(result.magnitude, denoised.magnitude)
    np.testing.assert_array_equal(result.phase, denoised.phase)
    assert sum("ThreadPoolExecutor" in name for name in names) == 3


def test_progress_ends_at_one(truth):
    seen = {}
    nordic(truth["magnitude"], progress=seen.__setitem__)
    assert seen == dict.fromkeys(["phase", "g-factor", "scaling", "denoising", "output"], 1.0)


def test_memory_stays_below_three_complex_series():
    shape, n = (28, 28, 20), 50
    series = phantom(shape=shape, n=n)
    magnitude, phase = series["magnitude"], series["phase"]
    complex_size = magnitude.size * 8
    del series
    tracemalloc.start()
    nordic(magnitude, phase)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert magnitude.nbytes + phase.nbytes + peak < 3 * complex_size


def test_given_gfactor_replaces_the_estimate(truth, denoised):
    result = nordic(truth["magnitude"], truth["phase"], gfactor=denoised.gfactor)
    np.testing.assert_allclose(result.magnitude, denoised.magnitude, rtol=1e-3, atol=0.02)
    assert result.gfactor_components_removed is None
    holes = denoised.gfactor.copy()
    holes[:3], holes[3] = 0, np.nan
    filled = nordic(truth["magnitude"], truth["phase"], gfactor=holes).gfactor
    np.testing.assert_allclose(filled[:4], np.median(holes[4:]), rtol=1e-5)
    np.testing.assert_allclose(filled[4:], holes[4:], rtol=1e-5)


def test_larger_noise_map_removes_more(truth, denoised):
    result = nordic(truth["magnitude"], truth["phase"], gfactor=3 * denoised.gfactor)
    assert result.components_removed.mean() > denoised.components_removed.mean()
    more = nordic(truth["magnitude"], truth["phase"], factor_error=3.0)
    np.testing.assert_allclose(more.components_removed, result.components_removed, atol=0.5)


def test_shared_gfactor_pools_the_variances():
    echoes = [phantom(seed=k, te=1 / (k + 1)) for k in range(3)]
    pairs = [(echo["magnitude"], echo["phase"]) for echo in echoes]
    single = [shared_gfactor([pair]) for pair in pairs]
    pooled = shared_gfactor(pairs)
    np.testing.assert_allclose(pooled**2, np.mean(np.square(single), axis=0), rtol=1e-5)
    np.testing.assert_allclose(single[0], nordic(*pairs[0]).gfactor, rtol=1e-6)
    first = nordic(*pairs[1], gfactor=pooled)
    np.testing.assert_allclose(first.gfactor, pooled, rtol=1e-5)


def test_shared_gfactor_refuses_bad_echoes(truth):
    with pytest.raises(DataError, match="at least one echo"):
        shared_gfactor([])
    other = phantom(shape=(20, 26, 14))
    pairs = [(s["magnitude"], s["phase"]) for s in (truth, other)]
    with pytest.raises(GridMismatchError, match=r"\(20, 26, 14\)"):
        shared_gfactor(pairs)


@pytest.mark.parametrize("noise_volumes", [0, 1, 4])
def test_noise_volumes_are_detected(noise_volumes):
    magnitude = phantom(noise_volumes=noise_volumes)["magnitude"]
    assert detect_noise_volumes(magnitude) == noise_volumes


def test_dark_volume_inside_is_no_noise_volume(truth):
    magnitude = truth["magnitude"].copy()
    magnitude[..., 5] = 0
    assert detect_noise_volumes(magnitude) == 0


def test_appended_noise_scan_equals_noise_volumes():
    series = phantom(noise_volumes=2)
    parts = [series["magnitude"], series["phase"]]
    joined = [append_noise_scan(part[..., :N], part[..., N:]) for part in parts]
    np.testing.assert_array_equal(joined[0], parts[0])
    whole = nordic(*parts, noise_volumes=2)
    trimmed = nordic(*joined, noise_volumes=2, trim_noise_volumes=True)
    np.testing.assert_array_equal(trimmed.magnitude, whole.magnitude[..., :N])
    assert trimmed.phase.shape[3] == N
    assert trimmed.noise_volumes_trimmed
    assert not whole.noise_volumes_trimmed
    with pytest.raises(GridMismatchError, match=r"noise scan has \(3, 26, 14\)"):
        append_noise_scan(parts[0], parts[0][:3])


def test_noise_level_uses_all_noise_volumes_unless_compat():
    series = phantom(noise_volumes=3)
    parts = [series["magnitude"].copy(), series["phase"]]
    parts[0][..., -1] *= 2
    pooled = nordic(*parts, noise_volumes=3).noise_level
    single = nordic(*parts, noise_volumes=3, compat=True).noise_level
    assert pooled == pytest.approx(single * np.sqrt(2), rel=0.03)


def test_magnitude_noise_volumes_are_announced():
    magnitude = phantom(noise_volumes=3)["magnitude"]
    with pytest.warns(UserWarning, match="threshold is too low"):
        result = nordic(magnitude, noise_volumes=3)
    assert result.phase is None
    assert result.noise_level == pytest.approx(0.655, abs=0.08)


def test_phase_may_be_left_out_of_the_result(truth, denoised):
    result = nordic(truth["magnitude"], truth["phase"], with_phase=False)
    assert result.phase is None
    np.testing.assert_array_equal(result.magnitude, denoised.magnitude)


def test_simulated_threshold_is_seeded(truth, denoised):
    magnitude, phase = truth["magnitude"], truth["phase"]
    found = [
        nordic(magnitude, phase, threshold_draws=10, seed=seed).threshold for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]
    assert found[0] == pytest.approx(denoised.threshold, rel=0.01)


def test_fluctuations_beside_a_background_of_zeros_stay_as_those_inside():
    """Patches at the edge of a head have fewer rows, and less noise, than those within."""
    rng, n = np.random.default_rng(0), 50
    x, y, z = np.meshgrid(*(np.linspace(-1.2, 1.2, k) for k in (32, 32, 18)), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    head = radius < 1
    maps = rng.normal(size=(4, *head.shape))
    maps = np.stack([ndimage.gaussian_filter(m, 2.5) for m in maps])
    courses = rng.normal(size=(4, n))
    change = 5.0 * np.tensordot(maps / maps.std(), courses, axes=(0, 0))
    noise = 20.0 * (rng.normal(size=change.shape) + 1j * rng.normal(size=change.shape))
    data = (1000.0 + change + noise) * np.exp(2j * np.pi * x)[..., None] * head[..., None]
    result = nordic(np.abs(data), np.angle(data))
    found = (complex_of(result) * np.exp(-2j * np.pi * x)[..., None]).real
    kept = []
    for part in (radius < 0.6, head & (radius > 0.85)):
        true = change[part] - change[part].mean(axis=1, keepdims=True)
        kept.append((true * found[part]).sum() / (true**2).sum())
    assert kept[0] > 0.5
    assert kept[1] > 0.85 * kept[0]  # 0.7 with the threshold of a full patch


def test_values_that_are_not_finite_become_zero(truth):
    magnitude, phase = truth["magnitude"].copy(), truth["phase"].copy()
    magnitude[2, 3, 4, 5], magnitude[2, 3, 4, 6], phase[9, 9, 9, 9] = np.nan, np.inf, np.nan
    with pytest.warns(UserWarning, match="not finite") as caught:
        result = nordic(magnitude, phase)
    assert [str(w.message)[0] for w in caught] == ["2", "1"]
    magnitude[2, 3, 4, 5:7] = 0
    magnitude[9, 9, 9, 9] = phase[9, 9, 9, 9] = 0
    expected = nordic(magnitude, phase)
    np.testing.assert_allclose(result.magnitude, expected.magnitude, rtol=1e-3, atol=0.02)
    assert np.isfinite(result.magnitude).all()


def test_empty_volumes_are_denoised_as_such(truth):
    magnitude = truth["magnitude"].copy()
    magnitude[..., 0] = magnitude[..., 7] = 0
    result = nordic(magnitude, truth["phase"])
    assert result.magnitude[..., [0, 7]].max() < 1e-3
    assert rms(complex_of(result)[..., 1] - truth["clean"][..., 1]) < 0.5 * rms(
        (truth["data"] - truth["clean"])[..., 1]
    )


def test_phase_range(truth, denoised):
    part = truth["phase"] / 2
    with pytest.warns(UserWarning, match="no usual full turn"):
        nordic(truth["magnitude"], part)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = nordic(truth["magnitude"], part, phase_range=(-np.pi / 2, np.pi / 2))
        radians = nordic(truth["magnitude"], truth["phase"], phase_range="radians")
        unwrapped = nordic(truth["magnitude"], truth["phase"] + 4 * np.pi, phase_range="radians")
    np.testing.assert_allclose(given.magnitude, denoised.magnitude, rtol=1e-2, atol=0.1)
    np.testing.assert_allclose(radians.magnitude, denoised.magnitude, rtol=1e-2, atol=0.1)
    np.testing.assert_allclose(unwrapped.magnitude, radians.magnitude, rtol=1e-2, atol=0.1)
    assert given.phase.max() <= np.pi / 2 + 1e-5


def test_few_volumes_are_announced(truth):
    with pytest.warns(UserWarning, match="only 5 volumes"):
        result = nordic(truth["magnitude"][..., :5], truth["phase"][..., :5])
    assert np.isfinite(result.magnitude).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"phase": np.zeros((24, 26, 14, 39))}, GridMismatchError, "must be equal"),
        ({"phase": np.zeros((*SHAPE, N))}, DataError, "0 everywhere"),
        ({"magnitude": np.zeros((*SHAPE, N))}, DataError, "All 40 volumes"),
        ({"magnitude": np.ones(SHAPE), "phase": None}, DataError, "3 dimensions"),
        ({"magnitude": np.ones((*SHAPE, 1)), "phase": None}, DataError, "has 1 volume"),
        ({"noise_volumes": N}, ConfigError, "accepted are 0 to 39"),
        ({"method": "median"}, ConfigError, "'nordic' and 'mppca'"),
        ({"threshold": math.nan}, ConfigError, "threshold is nan"),
        ({"factor_error": 0}, ConfigError, "factor_error is 0"),
        ({"magnitude": np.ones((*SHAPE, N), complex)}, DataError, "is complex"),
        ({"temporal_phase": 4}, ConfigError, "temporal_phase is 4"),
        ({"kernel_size": (25, 5, 5)}, DataError, "at most 24 fit along x"),
        ({"kernel_size": (24, 5, 5), "compat": True}, DataError, "at most 23 fit along x"),
        ({"kernel_size": (5, 5, 0)}, ConfigError, "kernel_size"),
        ({"gfactor_kernel_size": (14, 27, 1)}, DataError, "Give a smaller gfactor_kernel_size"),
        ({"gfactor_kernel_size": (14, 14)}, ConfigError, "three"),
        ({"gfactor": np.ones((24, 26, 13))}, GridMismatchError, "a volume"),
        ({"gfactor": -np.ones(SHAPE)}, DataError, "above 0"),
        ({"gfactor": np.zeros(SHAPE)}, DataError, "No noise level"),
        ({"gfactor_volumes": 1}, ConfigError, "2 and more"),
        ({"phase_range": "degrees"}, ConfigError, "'radians'"),
        ({"phase_range": (1, 0)}, ConfigError, "low, high"),
        ({"n_threads": 0}, ConfigError, "1 and more"),
        ({"patch_overlap": 0}, ConfigError, "patch_overlap"),
    ],
)
def test_unusable_input(truth, change, error, message):
    given = {"magnitude": truth["magnitude"], "phase": truth["phase"]} | change
    with pytest.raises(error, match=message):
        nordic(given.pop("magnitude"), given.pop("phase"), **given)
