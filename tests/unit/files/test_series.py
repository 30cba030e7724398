"""Masked series store."""

import numpy as np
import pytest

from mebold.errors import GridMismatchError
from mebold.files import series


def test_store_round_trip_and_choice_of_an_echo(tmp_path, rng):
    data = rng.normal(size=(3, 5, 4)).astype(np.float32)
    store = series.create(tmp_path / "new" / "s.npy", data.shape)
    store[:] = data
    store.flush()
    assert np.array_equal(series.open(tmp_path / "new" / "s.npy"), data)
    assert np.array_equal(series.open_variant(tmp_path / "new" / "s.npy", echo=1), data[1])


def test_unmask_puts_voxels_back_where_they_came_from(rng):
    volume = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    mask = rng.random((3, 4, 5)) > 0.4
    back = series.unmask(volume[mask], mask, fill=-1)
    assert np.array_equal(back[mask], volume[mask])
    assert np.all(back[~mask] == -1)


def test_unmask_refuses_another_mask():
    with pytest.raises(GridMismatchError, match="3 voxel values do not fit a mask of 8 voxels"):
        series.unmask(np.zeros(3), np.ones((2, 2, 2), dtype=bool))
