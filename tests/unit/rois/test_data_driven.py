"""Regions that the data choose."""

import numpy as np
import pytest

from mebold.errors import ConfigError, DataError
from mebold.rois import data_driven


def test_reliable_voxels_are_above_chance_and_explained():
    above = np.array([1, 1, 0, 1], bool)
    r2 = np.array([20.0, 5, 50, np.nan])
    assert data_driven.reliable(above, r2, least_r2=15).tolist() == [True, False, False, False]
    assert data_driven.reliable(above).tolist() == above.tolist()
    with pytest.raises(DataError, match="R2 has"):
        data_driven.reliable(above, r2[:2])


def test_best_voxels(rng):
    values, member = rng.normal(size=200), rng.random(200) < 0.5
    values[np.flatnonzero(member)[:3]] = np.nan
    chosen = data_driven.best(values, member, voxels=20, name="X")
    assert chosen.sum() == 20
    known = member & np.isfinite(values)
    assert (chosen & ~known).sum() == 0
    assert values[chosen].min() > np.nanmax(values[known & ~chosen])
    assert data_driven.best(values, member, voxels=999, name="X").sum() == known.sum()


def test_nothing_to_choose_from():
    with pytest.raises(DataError, match="region X: none of the voxels"):
        data_driven.best(np.full(3, np.nan), np.ones(3, bool), voxels=2, name="X")
    with pytest.raises(ConfigError, match="0 voxels asked for"):
        data_driven.best(np.ones(3), np.ones(3, bool), voxels=0, name="X")
