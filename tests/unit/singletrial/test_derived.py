"""Image means and z-scores of betas, block by block."""

import numpy as np
import pandas as pd
import pytest

from mebold.noiseceiling.ceilings import zscore_betas
from mebold.singletrial import derived


@pytest.fixture
def trials(rng):
    labels = [f"img{n}" for n in rng.integers(0, 90, 200)]
    stems = np.repeat(["r1", "r2", "r3", "r4"], 50)
    return pd.DataFrame({"label": labels, "stem": stems, "session": "01"})


@pytest.fixture
def betas(rng):
    found = (3 + rng.normal(size=(5000, 200))).astype(np.float32)
    found[7] = 2.5
    return found


def test_image_means_are_the_means_over_repeats(trials, betas):
    listed = derived.images(trials)
    found = np.hstack(list(derived.image_means(betas, trials["label"].tolist())))
    assert found.dtype == np.float32
    assert found.shape == (5000, len(listed))
    for row in listed.itertuples():
        same = (trials["label"] == row.label).to_numpy()
        assert row.n_trials == same.sum()
        assert row.n_runs == trials["stem"][same].nunique()
        expected = betas[:, same].mean(axis=1)
        np.testing.assert_allclose(found[:, row.image_index], expected, rtol=1e-5)


@pytest.mark.parametrize(("within", "column"), [("run", "stem"), ("session", "session")])
def test_z_scores_are_those_of_the_noise_ceilings(trials, betas, within, column):
    found = np.hstack(list(derived.zscored(betas, trials, within=within)))
    expected = zscore_betas(betas, trials[column])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isnan(found[7]).all()


def test_a_voxel_without_betas_stays_unknown(trials, betas):
    betas[3] = np.nan
    found = np.hstack(list(derived.zscored(betas, trials, within="run")))
    assert np.isnan(found[3]).all()
    assert np.isfinite(found[[2, 4]]).all()


def test_blocks_are_small(trials, betas):
    for blocks in (
        derived.image_means(betas, trials["label"].tolist()),
        derived.zscored(betas, trials, within="run"),
    ):
        assert max(block.shape[1] for block in blocks) <= derived.COLUMNS_AT_ONCE
