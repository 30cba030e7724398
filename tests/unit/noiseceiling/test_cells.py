"""Vectorised noise ceilings equal the definition and the module that makes the maps."""

import itertools

import numpy as np
import pytest

from mebold.errors import DataError
from mebold.noiseceiling.ceilings import noise_ceiling, zscore_betas
from mebold.noiseceiling.cells import cell_sums, cell_weights, noise_ceiling_percent, repeat_cells


def trials(seed=0, n_images=12, n_runs=4):
    rng = np.random.default_rng(seed)
    repeats = rng.integers(1, 5, n_images)
    labels = np.repeat([f"image{i}" for i in range(n_images)], repeats)
    rng.shuffle(labels)
    runs = np.array([f"{r:02d}" for r in rng.integers(1, n_runs + 1, labels.size)])
    return labels, runs


def betas_of(labels, n_voxels=30, seed=1):
    return np.random.default_rng(seed).standard_normal((n_voxels, labels.size))


def ceilings(betas, labels, runs, *, run_weights=None, **options):
    cells = repeat_cells(labels, runs)
    weights, inverse = cell_weights(cells, runs=run_weights, **options)
    noise = weights @ cell_sums(betas, cells).T
    return noise_ceiling_percent(noise, inverse[:, None])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("different", [False, True])
def test_unresampled_data_give_the_noise_ceiling_of_the_maps(seed, different):
    labels, runs = trials(seed)
    betas = zscore_betas(betas_of(labels), runs)
    expected = noise_ceiling(betas, labels, runs=runs, different_runs_only=different).nc
    found = ceilings(betas, labels, runs, different_runs_only=different)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_cell_sums_are_half_squared_differences_over_pairs():
    labels, runs = trials(5)
    betas = betas_of(labels, 3)
    cells = repeat_cells(labels, runs)
    sums = cell_sums(betas, cells)
    names = np.unique(labels)
    shown = names[[(labels == n).sum() > 1 for n in names]]
    for k in range(len(cells.pairs)):
        wanted = {cells.run_names[cells.run_first[k]], cells.run_names[cells.run_second[k]]}
        index = np.flatnonzero(labels == shown[cells.image[k]])
        pairs = [p for p in itertools.combinations(index, 2) if {runs[p[0]], runs[p[1]]} == wanted]
        assert len(pairs) == cells.pairs[k]
        expected = sum((betas[:, i] - betas[:, j]) ** 2 / 2 for i, j in pairs)
        np.testing.assert_allclose(sums[:, k], expected, rtol=1e-5)


def test_image_counts_equal_a_data_set_of_drawn_images():
    labels, runs = trials(2)
    betas = betas_of(labels)
    names = np.unique(labels)
    counts = np.random.default_rng(3).multinomial(names.size, np.full(names.size, 1 / names.size))
    index, new = [], []
    for name, count in zip(names, counts, strict=True):
        for copy in range(count):
            own = np.flatnonzero(labels == name)
            index += own.tolist()
            new += [f"{name} copy {copy}"] * own.size
    expected = noise_ceiling(betas[:, index], new).nc
    found = ceilings(betas, labels, runs, images=counts[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_run_without_weight_is_as_if_left_out():
    labels = np.array(list("aabbccddee"))
    runs = np.array([1, 2, 1, 3, 2, 3, 1, 2, 3, 3])
    betas = betas_of(labels)
    keep = runs != 3
    cells = repeat_cells(labels, runs)
    weights, _ = cell_weights(cells, runs=np.array([[1.0, 1.0, 0.0]]))
    noise = (weights @ cell_sums(betas, cells).T)[0]
    expected = noise_ceiling(betas[:, keep], labels[keep]).noise_variance
    np.testing.assert_allclose(noise, expected, rtol=1e-5)


def test_equal_weights_change_nothing():
    labels, runs = trials(7)
    betas = betas_of(labels)
    plain = ceilings(betas, labels, runs)
    n_runs, n_images = np.unique(runs).size, np.unique(labels).size
    for weights in ({"run_weights": np.full((1, n_runs), 3.0)},
                    {"images": np.full((1, n_images), 0.5)}):  # fmt: skip
        np.testing.assert_allclose(ceilings(betas, labels, runs, **weights), plain, rtol=1e-4)


def test_ceiling_of_known_variances():
    np.testing.assert_allclose(
        noise_ceiling_percent(np.array([0.0, 0.5, 1.0, 1.4]), 0.5),
        [100, 100 * 0.5 / 0.75, 0, 0],
    )


def test_pure_noise_gives_about_zero():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(300), 2)
    runs = np.tile(np.arange(6), 100)
    betas = zscore_betas(rng.standard_normal((200, 600)), runs)
    assert np.median(ceilings(betas, labels, runs)) < 4


def test_session_without_repeats_is_refused():
    with pytest.raises(DataError, match=r"no image is shown at least 2 times .*4 trials, 4 images"):
        repeat_cells(np.arange(4), np.ones(4))
    with pytest.raises(DataError, match="no image is shown at least 3 times"):
        repeat_cells(np.array([1, 1, 2]), np.ones(3), min_repeats=3)
    with pytest.raises(DataError, match="two equal lists"):
        repeat_cells(np.arange(4), np.ones(3))
