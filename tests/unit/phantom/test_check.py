"""The noise ceiling that known responses give, which intervals of the demo are held against."""

import numpy as np
import pytest

from mebold.noiseceiling import ceilings
from mebold.phantom import check


def responses_of(rng, labels, *, voxels=400, dimensions=4):
    """Responses of a few dimensions in common, unit variance over images."""
    images = rng.standard_normal((dimensions, labels.max() + 1))
    weights = rng.standard_normal((voxels, dimensions))
    found = weights @ images
    return (found / found.std(axis=1, keepdims=True))[:, labels]


@pytest.mark.parametrize(("strength", "repeats"), [(1.0, 2), (0.5, 4), (0.0, 2)])
def test_ceiling_of_known_variances(rng, strength, repeats):
    labels = np.repeat(np.arange(150), repeats)
    rng.shuffle(labels)
    runs = np.arange(labels.size) * 4 // labels.size
    responses = responses_of(rng, labels)
    betas = strength * responses + rng.standard_normal((400, labels.size))
    found = check.true_noise_ceiling(betas, responses, labels, runs)
    expected = 100 * strength**2 / (strength**2 + 1 / repeats)
    assert np.median(found) == pytest.approx(expected, abs=2)
    z = ceilings.zscore_betas(betas, runs)
    from_repeats = np.median(ceilings.noise_ceiling(z, labels).nc)
    assert from_repeats == pytest.approx(expected, abs=4)


def test_what_repeats_without_being_a_response_is_noise(rng):
    labels = np.repeat(np.arange(100), 2)
    runs = np.tile([0, 1], 100)
    betas = rng.standard_normal((200, 100))[:, labels]
    responses = responses_of(rng, labels, voxels=200)
    assert np.median(check.true_noise_ceiling(betas, responses, labels, runs)) < 3


def test_the_response_of_a_neighbour_is_no_noise(rng):
    labels = np.tile(np.arange(100), 3)
    runs = np.repeat([0, 1, 2], 100)
    responses = responses_of(rng, labels)
    mixed = 0.6 * responses + 0.8 * np.roll(responses, 1, axis=0)
    betas = mixed + mixed.std(axis=1, keepdims=True) * rng.standard_normal(mixed.shape)
    found = check.true_noise_ceiling(betas, responses, labels, runs)
    assert np.median(found) == pytest.approx(75, abs=2)
