"""Images written one volume at a time."""

import nibabel as nib
import numpy as np
import pytest

from mebold.errors import DataError
from mebold.files import images, series, stream
from mebold.geometry import affines

AFFINE = affines.rigid_matrix([5, -3, 2, 0.1, -0.2, 0.3], [0, 0, 0]) @ np.diag([2.0, 2.0, 3.0, 1])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_volume_by_volume_writes_the_same_image(tmp_path, rng, name):
    mask = rng.random((4, 5, 6)) > 0.4
    values = rng.normal(size=(mask.sum(), 130)).astype(np.float32)
    whole, streamed = tmp_path / "whole" / name, tmp_path / "streamed" / name
    images.save(whole, series.unmask(values, mask), AFFINE, tr=1.9)
    stream.save(streamed, values, mask, AFFINE, tr=1.9)
    assert np.array_equal(images.load(streamed)[0], images.load(whole)[0])
    assert nib.load(streamed).header == nib.load(whole).header


def test_missing_or_misshapen_volumes_leave_no_image(tmp_path):
    flat = [np.zeros((2, 3, 4), np.float32)] * 2
    for shape, message in [((2, 3, 4, 3), "2 volumes were given"), ((2, 3, 5, 2), "needed is")]:
        with pytest.raises(DataError, match=message):
            stream.save_volumes(tmp_path / "a.nii", flat, AFFINE, shape=shape)
    assert list(tmp_path.iterdir()) == []
