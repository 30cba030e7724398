"""Intervals cover what they should, and equal variants are not told apart."""

import numpy as np
import pytest

from mebold.compare import session, tables
from mebold.errors import ConfigError
from mebold.noiseceiling import bootstrap
from mebold.noiseceiling.cells import repeat_cells

N_IMAGES, N_RUNS, N_ROI, N_VOXELS = 30, 4, 60, 120


def design(seed):
    labels = np.r_[np.repeat(np.arange(N_IMAGES), 2), 1000 + np.arange(12)]
    np.random.default_rng(seed).shuffle(labels)
    return labels, np.arange(labels.size) * N_RUNS // labels.size


def betas(labels, *, noise, seed, strength=0.7):
    """Simulate betas: ROI voxels carry images, noise is partly shared by groups of voxels."""
    rng = np.random.default_rng(seed)
    signal = np.zeros((N_VOXELS, 1100))
    signal[:N_ROI] = strength * rng.standard_normal((N_ROI, 1100))
    shared = rng.standard_normal((12, labels.size))[rng.integers(0, 12, N_VOXELS)]
    own = rng.standard_normal((N_VOXELS, labels.size))
    return signal, noise * (np.sqrt(0.3) * shared + np.sqrt(0.7) * own)


def evaluate(data, labels, runs, seed=0, n_resamples=120):
    cells, resamples = session.prepare(labels, runs, n_resamples=n_resamples, seed=seed)
    roi = np.arange(N_VOXELS) < N_ROI
    return session.evaluate(
        data, labels=labels, runs=runs, roi=roi, cells=cells, resamples=resamples
    )


def limits(first, second, metric, method):
    difference = first.values[metric] - second.values[metric]
    samples = first.samples[method][metric] - second.samples[method][metric]
    return bootstrap.interval(difference, samples)


def test_weights_have_mean_one_and_fixed_variance_and_follow_the_seed():
    cells = repeat_cells(*design(0))
    draws = bootstrap.draw_resamples(cells, n_resamples=50, seed=3)
    for weights, n in ((draws.images, N_IMAGES + 12), (draws.runs, N_RUNS)):
        assert weights.shape == (50, n)
        np.testing.assert_allclose(weights.mean(1), 1, atol=1e-6)
        np.testing.assert_allclose(weights.var(1), bootstrap.WEIGHT_VARIANCE, rtol=1e-5)
    again = bootstrap.draw_resamples(cells, n_resamples=50, seed=3)
    other = bootstrap.draw_resamples(cells, n_resamples=50, seed=4)
    np.testing.assert_array_equal(draws.images, again.images)
    assert np.abs(draws.images - other.images).max() > 0.1


def test_standard_error_of_a_mean_is_the_textbook_one():
    cells = repeat_cells(*design(0))
    draws = bootstrap.draw_resamples(cells, n_resamples=20000, seed=0)
    for weights in (draws.images, draws.runs):
        x = np.random.default_rng(1).standard_normal(weights.shape[1])
        expected = x.std(ddof=1) / np.sqrt(x.size)
        found = bootstrap.standard_error(weights @ x / x.size)
        assert found == pytest.approx(expected, rel=0.03)


def test_intervals_cover_the_truth_and_the_expected_value():
    expected, found = [], {"images": [], "runs": []}
    for seed in range(40):
        labels, runs = design(seed)
        signal, noise = betas(labels, noise=1.0, seed=seed)
        result = evaluate(signal[:, labels] + noise, labels, runs, seed)
        expected.append(result.values["noise_ceiling_median"])
        for method, intervals in found.items():
            samples = result.samples[method]["noise_ceiling_median"]
            intervals.append(bootstrap.interval(expected[-1], samples))
    truth = 100 * 0.7**2 / (0.7**2 + 1 / 2)  # signal and noise variance as simulated, two repeats
    for intervals in found.values():
        low, high = np.array(intervals).T
        for value in (truth, np.mean(expected)):
            assert np.mean((low <= value) & (value <= high)) >= 0.9
        assert np.mean(high - low) < 8 * np.std(expected)


def test_interval_holds_the_truth_of_a_long_session():
    labels = np.r_[np.repeat(np.arange(150), 2), 1000 + np.arange(60)]
    np.random.default_rng(0).shuffle(labels)
    runs = np.arange(labels.size) * N_RUNS // labels.size
    signal, noise = betas(labels, noise=0.8, seed=5)
    result = evaluate(signal[:, labels] + noise, labels, runs)
    truth = 100 * 0.49 / (0.49 + 0.64 / 2)
    samples = result.samples["images"]["noise_ceiling_median"]
    low, high = bootstrap.interval(result.values["noise_ceiling_median"], samples)
    assert low < truth < high
    assert high - low < 12


def test_copies_of_one_variant_differ_by_exactly_nothing():
    labels, runs = design(1)
    signal, noise = betas(labels, noise=1, seed=1)
    first, second = (evaluate(signal[:, labels] + noise, labels, runs) for _ in range(2))
    table = tables.difference_table(
        {"standardSingle": first, "nordicSingle": second},
        subject="01", session="01", task="x", references=["standardSingle"],
    )  # fmt: skip
    assert (table[["difference", "ci_low", "ci_high"]].to_numpy() == 0).all()


def test_equal_variants_with_their_own_noise_are_rarely_told_apart():
    told_apart = {"noise_ceiling_median": 0, "dprime": 0}
    for seed in range(40):
        labels, runs = design(seed)
        signal, noise = betas(labels, noise=1, seed=seed)
        _, other = betas(labels, noise=1, seed=1000 + seed)
        pair = [evaluate(signal[:, labels] + e, labels, runs, seed) for e in (noise, other)]
        for metric in told_apart:
            found = [limits(*pair, metric, method) for method in ("images", "runs")]
            told_apart[metric] += all(low > 0 or high < 0 for low, high in found)
    assert max(told_apart.values()) <= 2


def test_less_noise_is_found():
    found = 0
    for seed in range(10):
        labels, runs = design(seed)
        signal, noise = betas(labels, noise=1, seed=seed)
        pair = [evaluate(signal[:, labels] + f * noise, labels, runs, seed) for f in (0.6, 1.0)]
        found += all(limits(*pair, "noise_ceiling_median", m)[0] > 0 for m in ("images", "runs"))
    assert found >= 9


def test_two_runs_have_no_bootstrap_over_runs():
    labels = np.repeat(np.arange(10), 2)
    runs = np.tile([1, 2], 10)
    cells = repeat_cells(labels, runs)
    assert bootstrap.draw_resamples(cells, n_resamples=20, seed=0).runs is None


def test_interval_of_too_few_values_is_empty_and_few_resamples_are_refused():
    assert np.isnan(bootstrap.interval(1.0, np.full(30, np.nan))).all()
    cells = repeat_cells(*design(0))
    with pytest.raises(ConfigError, match="19 bootstrap resamples"):
        bootstrap.draw_resamples(cells, n_resamples=19, seed=0)
