"""The noise ceiling that known responses give, which intervals of the demo are held against."""

import numpy as np
import pytest

from mebold import noiseceiling, phantom_check


@pytest.mark.parametrize(("strength", "repeats"), [(1.0, 2), (0.5, 4), (0.0, 2)])
def test_ceiling_of_known_variances(rng, strength, repeats):
    labels = np.repeat(np.arange(150), repeats)
    rng.shuffle(labels)
    runs = np.arange(labels.size) * 4 // labels.size
    responses = rng.standard_normal((400, 150))[:, labels] * (2.0 if strength else 0)
    betas = strength / 2 * responses + rng.standard_normal((400, labels.size))
    found = phantom_check.true_noise_ceiling(betas, responses, labels, runs)
    expected = 100 * strength**2 / (strength**2 + 1 / repeats)
    assert np.median(found) == pytest.approx(expected, abs=2)
    z = noiseceiling.zscore_betas(betas, runs)
    from_repeats = np.median(noiseceiling.noise_ceiling(z, labels).nc)
    assert from_repeats == pytest.approx(expected, abs=4)


def test_what_repeats_without_being_a_response_is_noise(rng):
    labels = np.repeat(np.arange(100), 2)
    runs = np.tile([0, 1], 100)
    responses = rng.standard_normal((200, 100))[:, labels]
    betas = rng.standard_normal((200, 100))[:, labels]
    assert np.median(phantom_check.true_noise_ceiling(betas, responses, labels, runs)) < 3
