"""Noise ceilings against analytic values and against loops over images and pairs."""

import itertools
from collections import Counter

import numpy as np
import pytest

from mebold.errors import ConfigError, DataError
from mebold.noiseceiling.ceilings import noise_ceiling, noise_ceilings, zscore_betas
from mebold.noiseceiling.sums import ImageSums, Selection


def _slow(betas, labels, blocks=None, *, at_least=2, exactly=None):
    """Return nc, ncsnr and noise variance by looping over images and pairs."""
    count = Counter(label for label in labels if label is not None)
    used = [c for c, n in count.items() if (n == exactly if exactly else n >= at_least)]
    variance, repeats = [], []
    for image in used:
        shown = [i for i, label in enumerate(labels) if label == image]
        if blocks is None:
            variance.append(betas[:, shown].var(axis=1, ddof=1))
        else:
            pairs = [
                (betas[:, i] - betas[:, j]) ** 2 / 2
                for i, j in itertools.combinations(shown, 2)
                if blocks[i] != blocks[j]
            ]
            if not pairs:
                continue
            variance.append(np.mean(pairs, axis=0))
        repeats.append(count[image])
    noise = np.mean(variance, axis=0)
    signal = np.maximum(0, 1 - noise)
    ncsnr = np.sqrt(signal / noise)
    return 100 * ncsnr**2 / (ncsnr**2 + np.mean(1 / np.array(repeats))), ncsnr, noise


def _simulate(rng, n_voxels, repeats, snr, per_run=80):
    """Return betas, labels and runs: images with unequal repeats, spread at random over runs."""
    labels = rng.permutation(np.repeat(np.arange(len(repeats)), repeats))
    image = rng.standard_normal((n_voxels, len(repeats)))
    betas = 3 + 2 * (snr * image[:, labels] + rng.standard_normal((n_voxels, labels.size)))
    return betas, labels, np.arange(labels.size) // per_run


@pytest.mark.parametrize("repeats", [2, 4, 12])
@pytest.mark.parametrize("level", ["run", "session"])
@pytest.mark.parametrize("different", [False, True])
def test_pure_noise_has_no_ceiling(rng, repeats, level, different):
    betas, labels, runs = _simulate(rng, 300, [repeats] * (1920 // repeats), 0)
    standard = zscore_betas(betas, runs if level == "run" else np.zeros(labels.size))
    result = noise_ceiling(standard, labels, runs=runs, different_runs_only=different)
    assert abs(np.median(result.nc)) < 1
    # Unclipped, the signal variance itself is centred on 0; ddof = 0 would give 1 / repeats.
    free = noise_ceiling(standard, labels, runs=runs, different_runs_only=different, clip=False)
    assert abs(free.signal_variance.mean()) < 0.01
    # An image whose presentations share one run has no pair in different runs.
    assert list(result.repeats) == [repeats]
    assert result.repeats[repeats] <= 1920 // repeats
    assert different or result.repeats[repeats] == 1920 // repeats


@pytest.mark.parametrize("repeats", [2, 4, 12])
@pytest.mark.parametrize("snr", [0.3, 1.0])
def test_known_signal_gives_the_analytic_ceiling(rng, repeats, snr):
    betas, labels, _ = _simulate(rng, 300, [repeats] * (6000 // repeats), snr)
    result = noise_ceiling(zscore_betas(betas, np.zeros(labels.size)), labels)
    expected = 100 * snr**2 / (snr**2 + 1 / repeats)
    assert np.median(result.nc) == pytest.approx(expected, abs=1)
    assert np.median(result.ncsnr) == pytest.approx(snr, abs=0.02)
    assert np.allclose(result.noise_variance + result.signal_variance, 1)


REPEATS = [1] * 40 + [2] * 30 + [3] * 10 + [4] * 12 + [12] * 3


@pytest.mark.parametrize(
    "options",
    [{}, {"at_least": 3}, {"exactly": 4}, {"exactly": 12}, {"blocks": True}],
    ids=str,
)
def test_sums_equal_the_loop(rng, options):
    betas, labels, runs = _simulate(rng, 20, REPEATS, 0.5, per_run=23)
    betas = zscore_betas(betas, runs)
    slow = dict(options)
    if slow.pop("blocks", False):
        slow["blocks"] = runs
    names = {"at_least": "min_repeats", "exactly": "exact_repeats", "blocks": "different_runs_only"}
    fast = noise_ceiling(betas, labels, runs=runs, **{names[k]: v for k, v in options.items()})
    nc, ncsnr, noise = _slow(betas, labels.tolist(), **slow)
    assert np.abs(fast.nc - nc).max() < 1e-6
    assert np.abs(fast.ncsnr - ncsnr).max() < 1e-6
    assert np.abs(fast.noise_variance - noise).max() < 1e-6
    if not options:
        assert fast.repeats == {2: 30, 3: 10, 4: 12, 12: 3}


def test_runs_matter_only_for_pairs_within_them(rng):
    betas, labels, _ = _simulate(rng, 10, REPEATS, 0.5)
    # Error shared within a run makes repeats in one run alike, and the plain ceiling too high.
    shared = np.repeat(rng.standard_normal((10, 30)), 8, axis=1)[:, : labels.size]
    same = np.sort(labels)
    plain = noise_ceiling(zscore_betas(shared, np.zeros(labels.size)), same)
    blocks = np.arange(labels.size) // 8
    strict = noise_ceiling(
        zscore_betas(shared, np.zeros(labels.size)), same, runs=blocks, different_runs_only=True
    )
    assert plain.noise_variance.mean() < 0.6 < strict.noise_variance.mean()
    alone = np.arange(labels.size)
    equal = noise_ceiling(betas, labels, runs=alone, different_runs_only=True)
    assert np.allclose(equal.nc, noise_ceiling(betas, labels).nc)


def test_order_of_trials_and_names_of_images_do_not_matter(rng):
    betas, labels, _ = _simulate(rng, 10, REPEATS, 0.5)
    order = rng.permutation(labels.size)
    names = np.array([f"image {label:03d}.jpg" for label in labels])
    expected = noise_ceiling(betas, labels)
    assert np.allclose(noise_ceiling(betas[:, order], names[order]).nc, expected.nc)


def test_trials_without_label_are_left_out(rng):
    betas, labels, _ = _simulate(rng, 10, REPEATS, 0.5)
    more = np.hstack([betas, 100 * rng.standard_normal((10, 7))])
    expected = noise_ceiling(betas, labels)
    for missing in (None, np.nan):
        actual = noise_ceiling(more, [*map(str, labels), *[missing] * 7])
        assert np.allclose(actual.nc, expected.nc)


def _sessions(rng):
    """Return three sessions that share images, with runs numbered from 1 in each."""
    betas, labels, _ = _simulate(rng, 33, REPEATS, 0.6)
    cuts = [0, 70, 121, labels.size]
    parts = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    runs = [np.arange(part.stop - part.start) // 20 + 1 for part in parts]
    return [betas[:, part] for part in parts], [labels[p] for p in parts], runs


def test_streaming_over_sessions_equals_one_array(rng):
    betas, labels, runs = _sessions(rng)
    selections = {
        "Allrep": Selection(),
        "4rep": Selection(exact_repeats=4),
        "runs": Selection(pairs="different_runs"),
        "sessions": Selection(pairs="different_sessions"),
    }
    results = noise_ceilings(betas, labels, runs=runs, selections=selections, chunk_voxels=7)
    standard = np.hstack([zscore_betas(part, np.zeros(part.shape[1])) for part in betas])
    every = np.concatenate(labels).tolist()
    session = np.repeat(np.arange(3), [part.shape[1] for part in betas])
    run = [f"{s}/{r}" for s, r in zip(session, np.concatenate(runs), strict=True)]
    for name, options in {
        "Allrep": {},
        "4rep": {"exactly": 4},
        "runs": {"blocks": run},
        "sessions": {"blocks": session},
    }.items():
        assert np.abs(results[name].nc - _slow(standard, every, **options)[0]).max() < 1e-6, name
    by_run = noise_ceilings(betas, labels, runs=runs, selections={"x": Selection()}, zscore="run")[
        "x"
    ]
    standard = np.hstack([zscore_betas(*pair) for pair in zip(betas, runs, strict=True)])
    assert np.abs(by_run.nc - _slow(standard, every)[0]).max() < 1e-6


def test_sessions_may_come_in_any_order(rng):
    betas, labels, runs = _sessions(rng)
    sums = ImageSums(labels, runs, {"x": Selection(pairs="different_runs")})
    maps = []
    for order in ([0, 1, 2], [2, 0, 1]):
        sums.start(33)
        for session in order:
            sums.add(session, betas[session])
        maps.append(sums.results()["x"].nc)
    assert np.allclose(*maps, rtol=1e-12)


def test_standardised_betas_and_still_groups(rng):
    betas = rng.standard_normal((5, 30)) * 4 + 9
    groups = np.repeat(["b", "a", "c"], 10)
    betas[2, 10:20] = 0.1
    standard = zscore_betas(betas, groups)
    for name in "abc":
        known = np.arange(5) != 2 if name == "a" else np.ones(5, bool)
        part = standard[:, groups == name]
        assert np.isnan(part[~known]).all()
        assert np.allclose(part[known].mean(axis=1), 0)
        assert np.allclose((part[known] ** 2).mean(axis=1), 1)
    assert zscore_betas(betas.astype(np.float32), groups).dtype == np.float32
    assert np.allclose(zscore_betas(betas * 7 - 3, groups), standard, equal_nan=True)


@pytest.mark.parametrize("zscore", ["session", "run", None])
def test_a_run_without_data_gives_no_ceiling(rng, zscore):
    """Betas of 0 in one of four runs: 16 to 64 % were found in noise."""
    betas = rng.standard_normal((300, 80))
    runs, labels = np.repeat(np.arange(4), 20), np.tile(np.arange(20), 4)
    betas[:50] = 0
    if zscore == "run":
        betas[50:100, 20:40] = 0
    found = noise_ceilings(
        [betas], [labels], runs=[runs], selections={"": Selection()}, zscore=zscore
    )[""]
    lost = 100 if zscore == "run" else 50
    assert np.isnan(found.nc[:lost]).all()
    assert np.isnan(found.ncsnr[:lost]).all()
    assert np.isfinite(found.nc[lost:]).all()


def test_special_voxels_and_missing_repeats(rng):
    betas, labels, _ = _simulate(rng, 4, [3] * 50, 1)
    betas = zscore_betas(betas, np.zeros(150))
    betas[1, 3] = np.nan
    betas[2] = labels
    betas[3] = 0
    result = noise_ceiling(betas, labels)
    assert np.isfinite(result.nc[0])
    assert np.isnan(result.nc[1])
    assert result.nc[2] == pytest.approx(100)
    none = noise_ceiling(betas, labels, exact_repeats=7)
    assert np.isnan(none.nc).all()
    assert none.repeats == {}


def test_what_cannot_be_computed_is_refused(rng):
    betas = rng.standard_normal((3, 6))
    with pytest.raises(DataError, match=r"5 labels for betas of shape \(3, 6\)"):
        noise_ceiling(betas, range(5))
    with pytest.raises(DataError, match="runs is missing"):
        noise_ceiling(betas, range(6), different_runs_only=True)
    with pytest.raises(ConfigError, match="2 or more repeats, not 1"):
        noise_ceiling(betas, range(6), min_repeats=1)
    with pytest.raises(ConfigError, match="choose one of all, different_runs"):
        Selection(pairs="runs")
    with pytest.raises(DataError, match=r"sessions differ in voxels: \[2, 3\]"):
        noise_ceilings([betas, betas[:2]], [range(6)] * 2, runs=[range(6)] * 2, selections={})
    with pytest.raises(DataError, match="4 labels of session 1"):
        noise_ceilings([betas], [range(4)], runs=[range(4)], selections={})
    with pytest.raises(ConfigError, match="zscore is 'subject'"):
        noise_ceilings([betas], [range(6)], runs=[range(6)], selections={}, zscore="subject")


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_without_zscoring_the_ceiling_does_not_follow_the_units(scale):
    """Signal and noise of equal variance, four repeats: 80 %; 1 less the noise gave 95 % and 0."""
    rng = np.random.default_rng(8)
    labels = np.tile(np.arange(60), 2)
    images = rng.normal(size=(400, 60))[:, labels]
    sessions = [scale * (images + rng.normal(size=(400, 120))) for _ in range(2)]
    runs = [np.repeat(["a", "b"], 60), np.repeat(["c", "d"], 60)]
    found = noise_ceilings(
        sessions, [labels] * 2, runs=runs, selections={"x": Selection()}, zscore=None
    )["x"]
    assert np.median(found.nc) == pytest.approx(80.0, abs=2.0)
    one = noise_ceilings(
        sessions[:1], [labels], runs=runs[:1], selections={"x": Selection()}, zscore=None
    )["x"]
    same = noise_ceilings(
        sessions[:1], [labels], runs=runs[:1], selections={"x": Selection()}, zscore="session"
    )["x"]
    np.testing.assert_allclose(one.nc, same.nc, rtol=1e-6)
