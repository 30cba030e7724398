"""tSNR and smoothness against known values."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mebold.compare import quality
from mebold.confounds import drifts
from mebold.errors import DataError
from mebold.rois import visual

STATUS = Path("/proc/self/status")


def test_tsnr_is_mean_over_standard_deviation_without_drift(rng):
    t = np.linspace(-1, 1, 400)
    noise = rng.standard_normal((200, 400)) * 2
    series = (100 + 30 * t + 10 * t**2 + noise).astype(np.float32)
    np.testing.assert_allclose(np.median(quality.tsnr(series, degree=2)), 100 / 2, rtol=0.1)
    exact = quality.tsnr((100 + noise).astype(np.float32), degree=0)
    np.testing.assert_allclose(exact, (100 + noise).mean(1) / noise.std(1, ddof=1), rtol=1e-4)


def test_tsnr_ignores_scale_and_chunks_and_survives_empty_voxels(rng):
    series = (50 + rng.standard_normal((20, 60))).astype(np.float32)
    series[3], series[4] = 0, 7
    found = quality.tsnr(series, degree=1)
    assert found[3] == found[4] == 0
    np.testing.assert_allclose(found, quality.tsnr(4 * series, degree=1), rtol=1e-3)
    chunked = quality.tsnr(series, degree=1, chunk_voxels=3)
    np.testing.assert_allclose(found, chunked, rtol=1e-5)


def smooth_series(fwhm_mm, voxel_mm, *, shape=(16, 15, 14), n=40, seed=0):
    rng = np.random.default_rng(seed)
    sigma = np.asarray(fwhm_mm) / np.asarray(voxel_mm) / 2.3548
    volumes = [gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap") for _ in range(n)]
    return np.stack(volumes, -1)


@pytest.mark.parametrize("fwhm", [(4.0, 4.0, 4.0), (4.0, 6.0, 8.0)])
def test_fwhm_of_known_smoothing(fwhm):
    voxel = (2.0, 2.0, 3.0)
    data = smooth_series(fwhm, voxel, n=80)
    mask = np.ones(data.shape[:3], bool)
    found = quality.smoothness(100 + data[mask], mask, voxel_mm=voxel, degree=1)
    np.testing.assert_allclose(found.per_axis, fwhm, rtol=0.1)
    assert found.fwhm == pytest.approx(np.exp(np.log(found.per_axis).mean()))


def test_white_noise_has_next_to_no_smoothness():
    data = smooth_series((0.0, 0.0, 0.0), (2.0, 2.0, 2.0))
    mask = np.ones(data.shape[:3], bool)
    found = quality.smoothness(data[mask] + 9, mask, voxel_mm=(2, 2, 2), degree=1)
    assert np.abs(found.correlation).max() < 0.02
    assert found.fwhm < 1.6


def test_gain_of_a_voxel_and_shared_task_do_not_count(rng):
    data = smooth_series((4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    mask = rng.random(data.shape[:3]) < 0.8
    options = {"voxel_mm": (2, 2, 2), "degree": 1}
    task = np.sin(np.arange(40) / 2.0)
    plain = quality.smoothness(data[mask], mask, **options)
    gain = np.exp(rng.standard_normal((int(mask.sum()), 1)))
    scaled = quality.smoothness(gain * data[mask], mask, **options)
    assert scaled.fwhm == pytest.approx(plain.fwhm, rel=1e-3)
    shared = data[mask] + 3 * task
    kept = quality.smoothness(shared, mask, **options)
    removed = quality.smoothness(shared, mask, regressors=task[:, None], **options)
    assert kept.fwhm > 2 * plain.fwhm
    assert removed.fwhm == pytest.approx(plain.fwhm, rel=0.03)


def test_unusable_voxels_are_skipped_and_inputs_kept():
    data = smooth_series((4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    mask = np.ones(data.shape[:3], bool)
    series = (data[mask] + 20).astype(np.float32)
    clean = quality.smoothness(series, mask, voxel_mm=(2, 2, 2), degree=1)
    series[::17] = 5
    series[1::31] = np.nan
    before = series.copy()
    found = quality.smoothness(series, mask, voxel_mm=(2, 2, 2), degree=1, chunk_pairs=100)
    assert found.fwhm == pytest.approx(clean.fwhm, rel=0.05)
    np.testing.assert_array_equal(series, before)


def test_single_slice_and_bad_masks():
    data = smooth_series((4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    mask = np.zeros(data.shape[:3], bool)
    mask[:, :, 5] = True
    found = quality.smoothness(data[mask], mask, voxel_mm=(2, 2, 2), degree=1)
    assert np.isnan(found.per_axis[2])
    assert np.isfinite(found.fwhm)
    with pytest.raises(DataError, match="the mask has 240 voxels, the series 7"):
        quality.smoothness(data[mask][:7], mask, voxel_mm=(2, 2, 2), degree=1)
    lone = np.zeros(data.shape[:3], bool)
    lone[::2, 0, 0] = True
    with pytest.raises(DataError, match="no two usable mask voxels are neighbours"):
        quality.smoothness(data[lone], lone, voxel_mm=(2, 2, 2), degree=1)


def test_a_session_is_measured_by_parts_as_at_once(rng):
    mask = np.zeros((9, 8, 7), bool)
    mask[1:-1, 1:-1, 1:-1] = True
    regressors = [(rng.random(n) < 0.2).astype(float) for n in (80, 90, 100)]
    effect = 2.0 * (np.arange(mask.sum()) < 60)[:, None]
    runs = [
        (100 + rng.standard_normal((len(effect), len(x))) + effect * x).astype(np.float32)
        for x in regressors
    ]
    options = {"tr": 2.0, "correlation_s": 8.0, "voxel_mm": (2, 2, 2)}
    found = quality.of_session(runs, regressors, mask, **options, chunk_voxels=50)
    at_once = visual.score(runs, regressors, tr=2.0, lags=4)
    np.testing.assert_array_equal(found.score, at_once)
    assert found.score[:60].min() > found.score[60:].mean()
    for r, x in enumerate(regressors):
        degree = drifts.degree(len(x), tr=2.0)
        np.testing.assert_array_equal(found.tsnr[r], quality.tsnr(runs[r], degree=degree))
        one = quality.smoothness(
            runs[r], mask, voxel_mm=(2, 2, 2), degree=degree, regressors=x[:, None]
        )
        assert found.fwhm[r] == one.fwhm


@pytest.mark.skipif(not STATUS.exists(), reason="Linux tells, others do not")
def test_the_memory_of_a_session_that_was_read_is_given_back(rng, tmp_path):
    def mapped_mb():
        return int(re.search(r"RssFile:\s+(\d+)", STATUS.read_text())[1]) / 1e3

    mask, runs = np.ones((25, 25, 25), bool), []
    for name in ("one.npy", "two.npy"):
        np.save(tmp_path / name, rng.standard_normal((mask.size, 300), np.float32) + 50)
        runs.append(np.load(tmp_path / name, mmap_mode="r")[:, 2:])
    regressors = [(rng.random(298) < 0.2).astype(float) for _ in runs]
    options = {"tr": 1.0, "correlation_s": 5.0, "voxel_mm": (2, 2, 2), "chunk_voxels": 4000}
    quality.of_session(runs, regressors, mask, **options)  # what it imports is mapped, too
    before = mapped_mb()
    quality.of_session(runs, regressors, mask, **options)
    assert mapped_mb() - before < 5
    assert sum(np.isfinite(run).all() for run in runs) == 2
    assert mapped_mb() - before > 30
