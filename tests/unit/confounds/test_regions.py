"""Voxels whose signals become confounds."""

import numpy as np

from mebold.confounds import regions


def test_tissue_is_eroded_and_cut_to_what_the_series_covers(rng):
    shape = (9, 9, 9)
    dseg = np.full(shape, 1.0)
    dseg[1:4, 1:4, 1:4], dseg[5:8, 5:8, 5:8] = 3.0, 2.0
    mask = np.ones(shape, bool)
    mask[0] = False
    brain = mask.copy()
    brain[:, 0] = False
    data = rng.normal(size=(mask.sum(), 12)).astype(np.float32)
    lost = np.flatnonzero(np.ravel_multi_index((6, 6, 6), shape) == np.flatnonzero(mask))
    data[lost] = 7.0  # beyond the field of view
    found = regions.masks_of(data, mask=mask, brain=brain, dseg=dseg)
    assert set(found) == {"brain", "csf", "wm"}
    volume = np.zeros(shape, bool)
    volume[mask] = found["csf"]
    assert np.argwhere(volume).tolist() == [[2, 2, 2]]
    assert not found["wm"].any()  # its one inner voxel is the lost one
    assert found["brain"].sum() == brain.sum() - 1
    data[lost, 0] = 8.0
    assert regions.masks_of(data, mask=mask, brain=brain, dseg=dseg)["wm"].sum() == 1
