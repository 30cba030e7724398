"""Independent components of series whose sources are known, most of them lost in thermal noise."""

import numpy as np
import pytest

from mebold.errors import DataError
from mebold.multiecho import components

N_TIMES, N_VOXELS, N_SOURCES = 60, 8000, 5
OPTIONS = {"order": 30, "seed": 1, "starts": 3, "sample": 4000, "max_iterations": 400}


@pytest.fixture(scope="module")
def mixed():
    """Return a series (V, T) of five sparse maps in noise of full rank, and their courses."""
    rng = np.random.default_rng(7)
    maps = rng.laplace(size=(N_VOXELS, N_SOURCES))
    maps = maps * np.abs(maps) / 3.4
    courses = rng.normal(size=(N_TIMES, N_SOURCES))
    noise = rng.normal(size=(N_VOXELS, N_TIMES))
    return (1000 + maps @ courses.T + 2 * noise).astype(np.float32), courses


def agreement(one, other):
    """Return the largest correlation of each course of one with any of the other."""
    n = one.shape[1]
    return np.abs(np.corrcoef(one.T, other.T)[:n, n:]).max(axis=1)


def test_sources_are_found_among_components_of_noise(mixed):
    series, courses = mixed
    found = components.decompose(series, **OPTIONS)
    assert found.mixing.shape == (N_TIMES, 30)
    np.testing.assert_allclose(found.mixing.std(axis=0), 1)
    assert agreement(courses, found.mixing).min() > 0.95
    assert 0.4 < found.explained < 0.9


@pytest.mark.parametrize(("voxels", "times", "order", "seed"), [
    (150, 20, 6, 78), (300, 30, 10, 43), (300, 30, 10, 134)])  # fmt: skip
def test_noise_on_which_whole_steps_jump_to_and_fro_settles(voxels, times, order, seed):
    noise = np.random.default_rng(seed).normal(size=(voxels, times)).astype(np.float32)
    one = {"order": order, "starts": 1, "sample": voxels}
    found = components.decompose(noise, **OPTIONS | one)
    assert found.converged
    assert found.iterations < 400


def test_equal_seeds_are_equal_and_others_find_the_same_sources(mixed):
    series, courses = mixed
    first, same = (components.decompose(series, **OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(first.mixing, same.mixing)
    other = components.decompose(series, **OPTIONS | {"seed": 5})
    assert agreement(courses, other.mixing).min() > 0.95


def test_sources_of_one_kind_take_several_starts():
    """Their fourth moments are equal, and say nothing about which is which."""
    rng = np.random.default_rng(3)
    maps = np.where(rng.random((3000, 8)) < 0.1, rng.normal(size=(3000, 8)), 0)
    courses = rng.normal(size=(N_TIMES, 8))
    series = maps @ courses.T + 0.2 * rng.normal(size=(3000, N_TIMES))
    one, many = (
        components.decompose(series, **OPTIONS | {"order": 12, "starts": n, "sample": 3000})
        for n in (1, 10)
    )
    assert many.contrast > one.contrast
    assert agreement(courses, many.mixing).min() > 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_starts_that_are_given_up_would_not_have_ended_better(seed):
    """Maps of noise, where all starts end in places of their own."""
    rng = np.random.default_rng(seed)
    white = components._whitened(rng.normal(size=(10, 400)).astype(np.float32))[0]
    begins = list(rng.normal(size=(20, 10, 10)))
    whole = [components._rotated(white, begin, 400)[0] for begin in begins]
    scores = sorted(components._contrast(white, end) for end in whole)
    best = components._contrast(white, components._best_of(white, begins, 400))
    assert scores[0] < 0.9 * scores[-1]
    assert best > 0.99 * scores[-1]


def test_worse_starts_are_given_up(mixed, monkeypatch):
    taken, rotated = [], components._rotated

    def counted(maps, start, max_iterations):
        taken.append((maps.shape[1], max_iterations))
        return rotated(maps, start, max_iterations)

    monkeypatch.setattr(components, "_rotated", counted)
    components.decompose(mixed[0], **OPTIONS | {"starts": 12})
    assert taken == [(4000, 40)] * (12 + 6 + 3) + [(4000, 400), (N_VOXELS, 400)]


def test_a_share_of_the_variance_sets_the_order(mixed):
    found = components.decompose(mixed[0], **OPTIONS | {"order": 0.6})
    assert found.explained >= 0.6
    assert 5 < found.mixing.shape[1] < N_TIMES
    fewer = components.decompose(mixed[0], **OPTIONS | {"order": found.mixing.shape[1] - 1})
    assert fewer.explained < 0.6


def test_voxels_without_data_and_too_many_components(mixed):
    series = mixed[0].copy()
    series[:50] = 7
    series[50:90, 3] = np.nan
    found = components.decompose(series, **OPTIONS)
    assert np.isfinite(found.mixing).all()
    with pytest.raises(DataError, match=r"60 components .* 7910 voxels with data have rank 59"):
        components.decompose(series, **OPTIONS | {"order": 60})
    with pytest.raises(DataError, match="without one voxel"):
        components.decompose(np.zeros((9, N_TIMES), np.float32), **OPTIONS)


def test_too_few_steps_are_said(mixed):
    assert not components.decompose(mixed[0], **OPTIONS | {"max_iterations": 2}).converged
