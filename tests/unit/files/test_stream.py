"""Images written and read some volumes at a time."""

import tracemalloc

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


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_series_is_read_in_parts(tmp_path, rng, suffix):
    values = rng.integers(0, 3000, (20, 21, 22, 300)).astype(np.int16)
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / f"series{suffix}")
    expected = images.load(tmp_path / f"series{suffix}")[0]
    found = np.full(values.shape, np.nan, np.float32)
    tracemalloc.start()
    for place, block in stream.read(tmp_path / f"series{suffix}"):
        found[..., place] = block
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert peak < 0.5 * expected.nbytes


def test_a_truncated_series_is_named(tmp_path, rng):
    image = nib.Nifti1Image(rng.normal(size=(8, 8, 8, 40)).astype(np.float32), np.eye(4))
    nib.save(image, tmp_path / "a.nii.gz")
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.nii\.gz is damaged or truncated"):
        list(stream.read(tmp_path / "a.nii.gz"))
