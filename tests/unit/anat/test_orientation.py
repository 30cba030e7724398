"""Any stored orientation leads to one grid, and back to the voxels that were there."""

import numpy as np
import pytest
from nibabel import orientations

from mebold.anat import orientation
from mebold.geometry import affines


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR", "AIL", "SRP", "ILA"])
def test_there_and_back(rng, codes):
    volume = rng.normal(size=(5, 6, 7))
    oblique = affines.rigid_matrix([3.0, -4.0, 5.0, 0.2, -0.1, 0.15], np.zeros(3))
    affine = oblique @ np.diag([1.0, 1.2, 0.8, 1.0])
    change = orientations.axcodes2ornt(codes)
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), change)
    kept = orientations.apply_orientation(volume, turn)
    kept_affine = affine @ orientations.inv_ornt_aff(turn, volume.shape)
    assert "".join(orientations.aff2axcodes(kept_affine)) == codes
    found, grid = orientation.canonical(kept, kept_affine)
    np.testing.assert_array_equal(found, volume)
    np.testing.assert_allclose(grid, affine, atol=1e-9)
    np.testing.assert_array_equal(orientation.stored(found, kept_affine), kept)
