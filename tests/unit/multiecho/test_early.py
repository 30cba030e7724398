"""Samples before the steady state: not in ICA, not in T2*, but in the series."""

import numpy as np
import pandas as pd
import pytest

from mebold.multiecho import decay, early, summary

TE_S = (0.011, 0.029, 0.047)


@pytest.fixture
def echoes(rng):
    """Return (E, V, T) with T2* of 20 to 60 ms, and T2* in seconds."""
    t2star = np.linspace(0.02, 0.06, 50)
    signal = 1000 * np.exp(-np.array(TE_S)[:, None] / t2star)
    return (signal[..., None] + rng.normal(0, 4, (3, 50, 60))).astype(np.float32), t2star


def test_t2star_is_that_of_the_steady_samples(echoes):
    data, truth = echoes
    bright = data.copy()
    # Fluid is brighter, and decays more slowly than what it shares its voxel with.
    bright[..., :4] += 900 * np.exp(-np.array(TE_S) / 0.2)[:, None, None] * [1, 0.3, 0.1, 0.03]
    found = decay.fit(summary.summarise(bright[..., 4:]), TE_S).t2star
    alone = decay.fit(summary.summarise(data[..., 4:]), TE_S).t2star
    np.testing.assert_array_equal(found, alone)
    assert np.abs(found - truth).max() < 0.002
    biased = decay.fit(summary.summarise(bright), TE_S).t2star
    assert np.abs(biased - truth).max() > 2 * np.abs(found - truth).max()


def test_the_first_samples_come_back_as_the_optimal_combination(rng):
    optcom = rng.normal(size=(6, 20))
    denoised = optcom[:, 3:] - 1.0
    found = early.restored(denoised, optcom, early=3)
    np.testing.assert_array_equal(found[:, :3], optcom[:, :3])
    np.testing.assert_array_equal(found[:, 3:], denoised)
    assert early.restored(None, optcom, early=3) is optcom
    assert early.restored(optcom, optcom, early=0) is optcom


def test_regressing_out_the_mixing_leaves_the_first_samples(rng):
    mixing = pd.DataFrame(rng.normal(size=(17, 2)), columns=["ICA_00", "ICA_01"])
    found = early.padded(mixing, early=3)
    assert found.shape == (20, 2)
    assert list(found) == list(mixing)
    assert not found.iloc[:3].to_numpy().any()
    np.testing.assert_array_equal(found.iloc[3:], mixing)
    assert early.padded(mixing, early=0) is mixing
