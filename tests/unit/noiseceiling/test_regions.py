"""Intervals of a region's median noise ceiling, against direct computations and repeated data."""

import numpy as np
import pytest

from mebold.noiseceiling import bootstrap, ceilings, cells, regions
from mebold.noiseceiling.sums import Selection

N_IMAGES, N_VOXELS = 40, 12


def session(rng, n_repeats=2, noise=1.5, voxels=N_VOXELS):
    """Betas (V, N) of images that repeat in different runs, with labels and runs."""
    signal = rng.standard_normal((voxels, N_IMAGES))
    labels = np.tile(np.arange(N_IMAGES), n_repeats)
    betas = signal[:, labels] + noise * rng.standard_normal((voxels, labels.size))
    return betas, [f"im{i}" for i in labels], np.repeat(np.arange(n_repeats), N_IMAGES).tolist()


def drawn(betas, labels, runs, **more):
    options = {"selection": Selection(), "zscore": "run", "n_resamples": 20, "seed": 1} | more
    return regions.resampled(betas, labels, runs, **options)


def test_a_resample_is_the_ceiling_with_weights_of_images(rng):
    betas, labels, runs = session(rng, 3)
    z = ceilings.zscore_betas(betas, runs)
    found = cells.repeat_cells(np.array(labels), np.array(runs))
    weights = bootstrap.draw_resamples(found, n_resamples=20, seed=1).images
    names = np.unique(labels)
    variance = np.stack([z[:, np.array(labels) == name].var(axis=1, ddof=1) for name in names], 1)
    noise = weights @ variance.T / weights.sum(1, keepdims=True)
    wanted = 100 * np.maximum(1 - noise, 0) / (np.maximum(1 - noise, 0) + noise / 3)
    np.testing.assert_allclose(drawn([betas], [labels], [runs]), wanted, rtol=1e-4)


@pytest.mark.parametrize("zscore", ["session", "run", None])
@pytest.mark.parametrize(
    "selection", [Selection(), Selection(exact_repeats=4), Selection(pairs="different_runs")]
)
def test_equal_weights_give_the_ceilings_of_the_maps(rng, monkeypatch, selection, zscore):
    parts = [session(rng, noise=1.0) for _ in range(2)]
    betas, labels, runs = (list(part) for part in zip(*parts, strict=True))
    labels[1][0] = "alone"  # so that one image has three presentations
    labels[0][1] = None  # and one trial no image

    def ones(found, *, n_resamples, seed):
        images = np.ones((n_resamples, found.trial_image.max() + 1))
        return bootstrap.Resamples(images=images, runs=None, seed=seed, n=n_resamples)

    monkeypatch.setattr(bootstrap, "draw_resamples", ones)
    found = drawn(betas, labels, runs, selection=selection, zscore=zscore)
    (wanted,) = ceilings.noise_ceilings(
        betas, labels, runs=runs, selections={"": selection}, zscore=zscore
    ).values()
    np.testing.assert_allclose(found[7], wanted.nc, atol=1e-3)


def test_too_few_images_have_no_interval(rng):
    betas, labels, runs = session(rng)
    exact = Selection(exact_repeats=4)
    assert drawn([betas], [labels], [runs], selection=exact) is None
    told = regions.spreads(None, np.arange(3), {"A": np.ones(N_VOXELS, bool)}, {"A": 5.0})
    assert np.isnan(told["A"].low)


def test_the_interval_is_as_wide_as_repeated_data_say(rng):
    """Other images, other noise: the median varies as much as its standard error says."""
    medians, widths = [], []
    for _ in range(60):
        betas, labels, runs = session(rng, voxels=15)
        (estimate,) = ceilings.noise_ceilings(
            [betas], [labels], runs=[runs], selections={"": Selection()}, zscore="run"
        ).values()
        middle = float(np.median(estimate.nc))
        found = drawn([betas], [labels], [runs], n_resamples=60)
        told = regions.spreads(found, np.arange(15), {"A": np.ones(15, bool)}, {"A": middle})["A"]
        medians.append(middle)
        widths.append((told.high - told.low) / 2 / 1.96)
        assert (told.low + told.high) / 2 == pytest.approx(middle)
    assert 0.8 < np.mean(widths) / np.std(medians, ddof=1) < 1.8


def test_a_part_of_a_large_region_is_seeded(rng):
    member = rng.random(500) < 0.5
    usable = rng.random(500) < 0.9
    chosen = regions.chosen_voxels(member, most=50, seed=3, usable=usable)
    assert chosen.size == 50
    assert (member & usable)[chosen].all()
    np.testing.assert_array_equal(
        chosen, regions.chosen_voxels(member, most=50, seed=3, usable=usable)
    )
    np.testing.assert_array_equal(
        regions.chosen_voxels(member, most=500, seed=3), np.flatnonzero(member)
    )
