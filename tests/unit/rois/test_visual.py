"""The image-versus-blank response: effects, no bias without a response, failures by message."""

import numpy as np
import pytest

from mebold.confounds import drifts
from mebold.errors import ConfigError, DataError
from mebold.rois import visual


def regressor(n=80, period=10, seed=0):
    onsets = (np.arange(n) % period == 0).astype(float)
    onsets *= np.random.default_rng(seed).random(n) < 0.9
    return np.convolve(onsets, [0, 0.4, 1, 0.7, 0.2, -0.1])[:n]


def session(effect, *, n_runs=4, noise=1.0, seed=0, baseline=100.0):
    rng = np.random.default_rng(seed)
    x = [regressor(seed=r) for r in range(n_runs)]
    drift = np.linspace(-3, 2, x[0].size)
    series = [
        baseline
        + drift
        + np.outer(effect, xi)
        + noise * rng.standard_normal((effect.size, xi.size))
        for xi in x
    ]
    return [s.astype(np.float32) for s in series], x


def test_effect_is_percent_of_the_run_mean():
    effect = np.array([0.0, 1.0, -2.0, 4.0])
    series, x = session(effect, noise=0.01, baseline=200.0)
    found, t = visual.run_response(series[0], x[0], degree=1)
    mean = series[0].mean(1)
    np.testing.assert_allclose(found, 100 * effect / mean, atol=0.02)
    assert np.all(np.sign(t[1:]) == np.sign(effect[1:]))


def test_t_equals_ordinary_least_squares():
    series, x = session(np.array([0.7, 0.0, -0.4]), seed=3)
    n = x[0].size
    design = np.column_stack([x[0], np.ones(n), np.linspace(-1, 1, n)])
    y = series[0].astype(float).T
    beta, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
    error = np.sqrt(rss / (n - 3) * np.linalg.inv(design.T @ design)[0, 0])
    _, t = visual.run_response(series[0], x[0], degree=1)
    np.testing.assert_allclose(t, beta[0] / error, rtol=1e-4)


def test_correlated_noise_does_not_widen_t(rng):
    x = regressor(n=300)
    noise = rng.standard_normal((4000, 310))
    slow = np.stack([noise[:, k : k + 300] for k in range(5)]).sum(0)
    for series, widened in ((100 + noise[:, :300], False), (100 + slow, True)):
        _, plain = visual.run_response(series, x, degree=2)
        _, corrected = visual.run_response(series, x, degree=2, lags=20)
        assert (plain.std() > 1.15) == widened
        assert 0.85 < corrected.std() < 1.1


def test_chunks_do_not_change_the_result():
    series, x = session(np.linspace(-1, 1, 50))
    whole = visual.run_response(series[0], x[0], degree=2, lags=9)
    parts = visual.run_response(series[0], x[0], degree=2, lags=9, chunk_voxels=7)
    np.testing.assert_allclose(whole, parts, rtol=1e-5)


@pytest.mark.parametrize("statistic", ["t", "percent"])
def test_score_is_zero_on_average_without_a_response(statistic):
    series, x = session(np.zeros(4000), seed=1)
    score = visual.visual_response(series, x, degrees=[1] * 4, statistic=statistic).score
    assert abs(score.mean()) < 4 * score.std() / np.sqrt(4000)
    if statistic == "t":
        assert score.std() < 1.05


def test_score_without_cross_validation_would_be_biased():
    series, x = session(np.zeros(4000), seed=1)
    response = visual.visual_response(series, x, degrees=[1] * 4)
    voted_with_itself = (response.fold_t * (response.fold_t.sum(0) > 0)).sum(0) / 2
    assert voted_with_itself.mean() > 10 * abs(response.score.mean())


def test_positive_responses_score_and_negative_ones_do_not():
    effect = np.repeat([1.5, -1.5, 0.0], 200)
    series, x = session(effect)
    response = visual.visual_response(series, x, degrees=[1] * 4)
    mask = visual.select(response.score, threshold=3.0)
    assert mask[:200].mean() > 0.95
    assert mask[200:].mean() < 0.02
    np.testing.assert_allclose(response.effect[:200].mean(), 1.5, atol=0.1)


def test_score_is_the_voted_sum_over_the_root_of_runs():
    series, x = session(np.linspace(-1, 1, 30), n_runs=3)
    response = visual.visual_response(series, x, degrees=[1] * 3)
    t = response.fold_t
    expected = sum(t[r] * (t[[k for k in range(3) if k != r]].sum(0) > 0) for r in range(3))
    np.testing.assert_allclose(response.score, expected / np.sqrt(3), rtol=1e-5)


def test_empty_voxels_score_zero():
    series, x = session(np.ones(3))
    for s in series:
        s[0] = 0
        s[1] = 50
    response = visual.visual_response(series, x, degrees=[1] * 4)
    assert response.score[0] == 0
    assert response.score[1] == 0
    assert response.score[2] > 3


def test_consensus_is_what_more_than_half_of_the_variants_reach():
    maps = [np.array([1.0, 2.0]), np.array([3.0, -4.0])]
    np.testing.assert_allclose(visual.consensus(maps), np.min(maps, axis=0))
    maps = [*maps, np.array([9.0, -9.0])]
    np.testing.assert_allclose(visual.consensus(maps), np.median(maps, axis=0))


def test_a_single_run_is_cross_validated_in_its_halves(rng):
    regressor = np.convolve(np.tile([1.0] + 11 * [0.0], 20), np.hanning(8))[:240]
    series = 100 + rng.standard_normal((40, 240))
    series[:5] += 3 * regressor
    series[5:10, :120] += 6 * regressor[:120]  # one half only
    score = visual.score([series], [regressor], tr=1.0, lags=0)
    assert (score[:5] > 3).all()
    assert (score[5:] < 3).mean() > 0.9


def test_images_without_blanks_have_no_score(rng):
    series = [100 + rng.standard_normal((40, 240)) for _ in range(2)]
    score = visual.score(series, [np.ones(240)] * 2, tr=1.0, lags=0)
    assert np.isnan(score).all()
    assert not visual.varies(np.linspace(0, 1, 240), 1)
    assert visual.varies(np.linspace(0, 1, 240) ** 2, 1)


def test_drift_degree_is_one_per_two_minutes():
    assert drifts.degree(150, tr=1.0) == 1
    assert drifts.degree(310, tr=1.0) == 3


def test_bad_input_is_named():
    series, x = session(np.ones(5), n_runs=2)
    with pytest.raises(DataError, match="needs at least 2 runs, the session has 1"):
        visual.visual_response(series[:1], x[:1], degrees=[1])
    with pytest.raises(DataError, match=r"different numbers of mask voxels: \[4, 5\]"):
        visual.visual_response([series[0], series[1][:4]], x, degrees=[1, 1])
    with pytest.raises(DataError, match="no image trials"):
        visual.run_response(series[0], np.zeros(80), degree=1)
    with pytest.raises(DataError, match="do not belong together"):
        visual.run_response(series[0], x[0][:-1], degree=1)
    with pytest.raises(ConfigError, match="statistic is 'z'"):
        visual.visual_response(series, x, degrees=[1, 1], statistic="z")
    with pytest.raises(ConfigError, match="must be 0 or larger"):
        visual.select(np.ones(20), threshold=-1)
    with pytest.raises(DataError, match="only 0 voxels respond above 5"):
        visual.select(np.ones(20), threshold=5)
    with pytest.raises(DataError, match="one shape"):
        visual.consensus([np.ones(2), np.ones(3)])
    with pytest.raises(ConfigError, match="needs more than 3 volumes"):
        drifts.polynomials(3, 2)
