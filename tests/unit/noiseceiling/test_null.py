"""Null of the noise ceiling: equal to it without a shift, and holding its rate in noise."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import ConfigError
from mebold.noiseceiling import ceilings, maps
from mebold.noiseceiling.null import LabelNull, lags, shifted
from mebold.noiseceiling.sums import Selection

RUNS, TRIALS, VOXELS = 6, 50, 3000
SELECTIONS = {"all": Selection(), "between": Selection(pairs="different_runs")}


def labels_of(kind, rng):
    """Images of six runs of fifty trials: most shown once, the others as the kind says."""
    labels = np.array([f"once{i}" for i in range(RUNS * TRIALS)], dtype=object)
    free = list(rng.permutation(len(labels)))
    if kind == "pairs anywhere":
        for k in range(80):
            labels[[free.pop(), free.pop()]] = f"twice{k}"
    elif kind == "unequal repeats":
        for k, count in enumerate((20, 8, 8, 4, 4, 4, 3, 3, 3, *[2] * 60)):
            labels[[free.pop() for _ in range(count)]] = f"image{k}"
    elif kind == "neighbours in a run":
        for k, first in enumerate(range(0, len(labels) - 5, 5)):
            labels[[first, first + 1 + k % 3]] = f"near{k}"
    elif kind == "pairs of runs":
        for k in range(RUNS // 2):
            here, there = (
                rng.permutation(TRIALS)[:25] + run * TRIALS for run in (2 * k, 2 * k + 1)
            )
            for i, j in zip(here, there, strict=True):
                labels[[i, j]] = f"pair{i}"
    return labels


def noise_of(kind, rng):
    """Betas (voxels, trials) without any image in them, each voxel with its own amount of it."""
    noise = rng.standard_normal((VOXELS, RUNS, TRIALS + 10))
    if "correlated" in kind:
        along = rng.uniform(0, 0.7, (VOXELS, 1))
        for t in range(1, TRIALS + 10):
            fresh = np.sqrt(1 - along**2) * noise[:, :, t]
            noise[:, :, t] = along * noise[:, :, t - 1] + fresh
    noise = noise[:, :, 10:]
    if "heavy" in kind:
        noise = noise * np.exp(0.5 * rng.standard_normal(noise.shape))
    if "runs" in kind:
        steps = np.cumsum(rng.standard_normal((VOXELS, RUNS, 1)), axis=1)
        noise = noise * np.exp(0.4 * rng.standard_normal((VOXELS, RUNS, 1)))
        noise = noise + steps * rng.uniform(0, 0.6, (VOXELS, 1, 1))
    return noise.reshape(VOXELS, -1)


def null_of(betas, labels, *, zscore, selections=SELECTIONS, q=0.05, **options):
    runs = np.repeat(np.arange(RUNS), TRIALS)
    null = LabelNull([labels], [runs], selections, permutations=100, seed=3)
    chosen = {"selections": selections, "zscore": zscore, "null": null, **options}
    found = ceilings.noise_ceilings([betas], [labels], runs=[runs], **chosen)
    return found, null.results(found, q=q)


@pytest.mark.parametrize("zscore", ["run", "session"])
@pytest.mark.parametrize("noise", ["white", "correlated", "correlated, heavy tails, runs differ"])
@pytest.mark.parametrize(
    "design", ["pairs anywhere", "unequal repeats", "neighbours in a run", "pairs of runs"]
)
def test_five_percent_of_the_voxels_pass_by_chance(design, noise, zscore):
    rng = np.random.default_rng(5)
    labels = labels_of(design, rng)
    found, chance = null_of(noise_of(noise, rng), labels, zscore=zscore)
    tried = 0
    for name, null in chance.items():
        if not found[name].repeats:
            assert np.isnan(null.threshold)
            continue
        tried += 1
        above = 100 * np.mean(found[name].nc > null.threshold)
        assert above == pytest.approx(5, abs=1.5), name
        assert 100 * np.mean(null.p < 0.05) == pytest.approx(5, abs=1.5), name
        assert 100 * np.mean(null.p < 0.005) == pytest.approx(0.5, abs=0.4), name
        assert null.significant.sum() <= 3
    assert tried == (1 if design == "neighbours in a run" else 2)


def test_the_rate_holds_over_sessions_and_in_a_single_run():
    rng = np.random.default_rng(7)
    tables, betas = [], []
    for session in range(3):
        names = [
            f"image{i}"
            for i in rng.permutation(np.r_[0:30, 0:30, 100 + 40 * session : 140 + 40 * session])
        ]
        stems = [f"ses-{session}_run-{r}" for r in range(4) for _ in range(25)]
        tables.append(pd.DataFrame({"label": names, "stem": stems}))
        betas.append(noise_of("correlated, runs differ", rng)[:, :100])
    options = {"permutations": 100, "false_discovery_rate": 0.05, "seed": 0}
    selections = maps.subject_selections({"6rep": 6, "9rep": 9})
    found, chance = ceilings.with_chance(
        betas, tables, selections=selections, zscore="session", **options
    )
    for name in ("6rep", "Allrep", "DifferentRuns"):
        above = np.mean(found[name].nc > chance[name].threshold)
        assert 100 * above == pytest.approx(5, abs=1.5), name
        assert 100 * np.mean(chance[name].p < 0.05) == pytest.approx(5, abs=1.5), name
    assert np.isnan(chance["9rep"].threshold)
    assert not chance["9rep"].significant.any()
    single = [tables[0].assign(stem="run-1")], [betas[0]]
    found, chance = ceilings.with_chance(
        single[1], single[0], selections=SELECTIONS, zscore="run", **options
    )
    assert 100 * np.mean(chance["all"].p < 0.05) == pytest.approx(5, abs=1.5)
    assert np.isnan(chance["between"].threshold)


def test_voxels_that_follow_the_images_are_found_at_the_rate_of_false_ones():
    rng = np.random.default_rng(8)
    labels = labels_of("unequal repeats", rng)
    betas = noise_of("correlated, heavy tails", rng)
    code = pd.factorize(labels)[0]
    responding = np.arange(VOXELS) < VOXELS // 5
    pattern = rng.standard_normal((VOXELS // 5, code.max() + 1))
    betas[responding] += 1.5 * pattern[:, code]
    _, chance = null_of(betas, labels, zscore="run", q=0.1)
    for null in chance.values():
        assert null.significant[responding].mean() > 0.9
        false = null.significant[~responding].sum() / null.significant.sum()
        assert 0.02 < false < 0.13
        order = np.argsort(null.p)
        assert (np.diff(null.significant[order].astype(int)) <= 0).all()


@pytest.mark.parametrize("design", ["unequal repeats", "neighbours in a run"])
def test_without_a_shift_the_form_is_the_noise_variance(design):
    rng = np.random.default_rng(9)
    labels, runs = labels_of(design, rng), np.repeat(np.arange(RUNS), TRIALS)
    labels[::17] = None
    halves = [slice(0, 150), slice(150, 300)]
    selections = SELECTIONS | {
        "four": Selection(exact_repeats=4),
        "many": Selection(min_repeats=3),
        "sessions": Selection(pairs="different_sessions"),
    }
    betas = ceilings.zscore_betas(rng.standard_normal((20, 300)), runs)
    parts = [list(values[half]) for half in halves for values in (labels, runs)]
    null = LabelNull(parts[::2], parts[1::2], selections, permutations=20, seed=0)
    null._shifts = null._form.shifts([np.arange(300)] * 20)
    split = [betas[:, half] for half in halves]
    null.add(split)
    found = ceilings.noise_ceilings(
        split, parts[::2], runs=parts[1::2], selections=selections, zscore="run"
    )
    for name, ceiling in found.items():
        ((mean, _),) = null._moments[name]
        np.testing.assert_allclose(mean, ceiling.noise_variance, atol=1e-5)


def test_labels_are_shifted_within_runs_and_keep_their_distances():
    runs = np.array([0] * 7 + [1] * 9 + [0] * 3)
    order = shifted(runs, np.array([2, 4]))
    assert sorted(order) == list(range(len(runs)))
    np.testing.assert_array_equal(runs[order], runs)
    for run, lag in ((0, 2), (1, 4)):
        inside = np.flatnonzero(runs == run)
        np.testing.assert_array_equal(order[inside], np.roll(inside, lag))


@pytest.mark.parametrize(
    ("lengths", "count"), [([20], 19), ([20, 20], 19), ([9, 20], 19), ([30] * 5, 100)]
)
def test_no_run_keeps_its_labels_and_no_two_move_together(lengths, count):
    drawn = lags(lengths, 100, np.random.default_rng(0))
    assert drawn.shape == (count, len(lengths))
    assert len(np.unique(drawn, axis=0)) == count
    assert (drawn > 0).all()
    assert (drawn < lengths).all()
    if len(set(lengths)) == 1:
        assert all(len(set(row)) == len(row) for row in drawn)


def test_more_runs_than_trials_use_every_lag_before_one_comes_again():
    drawn = lags([11] * 25, 30, np.random.default_rng(0))
    assert all(set(np.bincount(row, minlength=11)[1:]) <= {2, 3} for row in drawn)


def test_runs_that_are_too_short_have_no_null():
    labels, runs = ["a", "b", "b", "a"], [1, 1, 2, 2]
    null = LabelNull([labels], [runs], SELECTIONS, permutations=20, seed=0)
    assert null.permutations == 1
    betas = np.random.default_rng(0).standard_normal((6, 4))
    found = ceilings.noise_ceilings(
        [betas], [labels], runs=[runs], selections=SELECTIONS, zscore="session", null=null
    )
    for result in null.results(found, q=0.05).values():
        assert np.isnan(result.threshold)
        assert np.isnan(result.p).all()
        assert not result.significant.any()


def test_repeats_in_two_runs_are_found_though_there_are_few_shifts():
    rng = np.random.default_rng(2)
    images = np.arange(40)
    labels = [f"i{k}" for k in np.r_[rng.permutation(images), rng.permutation(images)]]
    code = pd.factorize(pd.Series(labels))[0]
    betas = rng.standard_normal((2000, 80))
    betas[:400] += 1.5 * rng.standard_normal((400, 40))[:, code]
    table = pd.DataFrame({"label": labels, "stem": ["run-1"] * 40 + ["run-2"] * 40})
    _, chance = ceilings.with_chance(
        [betas], [table], selections=SELECTIONS, zscore="run",
        permutations=100, false_discovery_rate=0.05, seed=0,
    )  # fmt: skip
    for null in chance.values():
        assert null.permutations == 39
        assert null.significant[:400].mean() > 0.6
        assert null.significant[400:].mean() < 0.02
        assert np.mean(null.p[400:] < 0.05) == pytest.approx(0.05, abs=0.015)


def test_voxels_without_data_take_no_part_and_blocks_do_not_matter():
    rng = np.random.default_rng(1)
    labels, betas = labels_of("pairs anywhere", rng), noise_of("white", rng)[:700]
    usual, expected = null_of(betas, labels, zscore="run")
    empty = np.concatenate([np.full((5, 300), np.nan), np.ones((5, 300)), betas])
    found, chance = null_of(empty, labels, zscore="run", chunk_voxels=300)
    for name, null in chance.items():
        assert np.isnan(null.p[:10]).all()
        assert not null.significant[:10].any()
        assert null.threshold == expected[name].threshold
        np.testing.assert_allclose(null.p[10:], expected[name].p, rtol=1e-3, atol=1e-4)
    said = maps.by_chance(expected["all"], usual["all"])
    assert said["ShareAboveThreshold"] == pytest.approx(0.05, abs=0.03)
    assert said["Permutations"] == 100
    assert maps.by_chance(chance["all"], found["all"])["ChanceThreshold"] == said["ChanceThreshold"]


def test_too_few_permutations_are_refused():
    with pytest.raises(ConfigError, match="20 and more"):
        LabelNull([["a", "a"]], [[1, 2]], SELECTIONS, permutations=5, seed=0)
