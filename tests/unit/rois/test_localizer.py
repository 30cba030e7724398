"""Regions in the maps of contrasts: threshold, parcel, cluster, size, exclusivity."""

import numpy as np
import pytest
from scipy import ndimage

from mebold.errors import ConfigError, GridMismatchError
from mebold.rois.localizer import Functional, regions

SHAPE = (30, 32, 28)


def bump(centre, height=8.0, width=3.0):
    place = np.indices(SHAPE) - np.array(centre).reshape(3, 1, 1, 1)
    return height * np.exp(-(place**2).sum(0) / (2 * width**2))


def box(*limits):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*pair) for pair in limits)] = True
    return mask


def smooth_noise(rng):
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1)
    return noise / noise.std()


def test_a_response_in_noise_is_found_again(rng):
    """Dice of 0.8 and more with the voxels whose response is above the threshold without noise."""
    truth = np.minimum(bump((10, 12, 14), height=40), 7)  # a patch of one response, with an edge
    wanted = {"FFA1": Functional(3.1, box((4, 20), (4, 22), (6, 24)), least_voxels=10)}
    for _ in range(5):
        found, without = regions({"FFA1": truth + smooth_noise(rng)}, wanted)
        mask, there = found["FFA1"], truth > 3.1
        assert 2 * (mask & there).sum() / (mask.sum() + there.sum()) > 0.8
        assert without == {}


def test_only_the_parcel_and_the_largest_cluster_count():
    values = np.maximum(bump((6, 8, 8)), bump((18, 20, 14), width=2))
    half = box((12, 30))
    everywhere, _ = regions({"A": values}, {"A": Functional(3)})
    np.testing.assert_array_equal(everywhere["A"], (values > 3) & ~half)
    both, _ = regions({"A": values}, {"A": Functional(3, largest_cluster=False)})
    np.testing.assert_array_equal(both["A"], values > 3)
    inside, _ = regions({"A": values}, {"A": Functional(3, half)})
    np.testing.assert_array_equal(inside["A"], (values > 3) & half)


def test_regions_of_a_set_share_no_voxel():
    maps = {"FFA1": bump((10, 12, 14)), "PPA": bump((13, 12, 14)), "EBA": bump((11, 12, 14))}
    one_set = {name: Functional(2, exclusive="high") for name in ("FFA1", "PPA")}
    found, _ = regions(maps, one_set | {"EBA": Functional(2)})
    assert not (found["FFA1"] & found["PPA"]).any()
    together = (maps["FFA1"] > 2) | (maps["PPA"] > 2)
    np.testing.assert_array_equal(found["FFA1"] | found["PPA"], together)
    assert (maps["FFA1"][found["FFA1"]] >= maps["PPA"][found["FFA1"]]).all()
    assert (found["EBA"] & found["FFA1"]).any()  # of no set
    equal = {"A": maps["EBA"], "B": maps["EBA"]}
    found, without = regions(equal, {n: Functional(2, exclusive="s") for n in "AB"})
    assert list(found) == ["A"]
    assert "0 voxels above 2" in without["B"]


def test_a_subject_without_the_region():
    values = bump((10, 12, 14), height=2.5)
    values[20:] = np.nan
    found, without = regions({"FFA2": values}, {"FFA2": Functional(3.1)})
    assert found == {}
    assert without["FFA2"] == "0 voxels above 3.1 (highest value 2.50), fewer than 1"
    small = {"FFA2": Functional(2.4, least_voxels=500)}
    assert "fewer than 500" in regions({"FFA2": values}, small)[1]["FFA2"]


def test_bad_settings():
    values = bump((10, 12, 14))
    with pytest.raises(ConfigError, match="region A: threshold 0 is not above 0"):
        regions({"A": values}, {"A": Functional(0)})
    with pytest.raises(GridMismatchError, match="region A: its map has"):
        regions({"A": values}, {"A": Functional(1, np.ones((3, 3, 3), bool))})
