"""The anatomy of real heads, whose truth is unknown: what must not depend on the scanner."""

import numpy as np
import pytest

from mebold.anat import brain_mask, orientation
from mebold.files import images
from mebold.geometry import affines
from mebold.registration.similarity import dice

pytestmark = pytest.mark.realdata


def test_two_versions_of_one_scan_have_one_brain(real_data):
    """With and without the scanner's own bias correction: the field differs, the head does not."""
    folder = real_data / "xa30-raw-bids/sub-01/anat"
    names = [folder / f"sub-01_rec-{version}_T1w.nii.gz" for version in ("norm", "nonorm")]
    if not all(name.is_file() for name in names):
        pytest.skip("xa30-raw-bids is not among the real data sets")
    found, sizes = [], []
    for name in names:
        volume, affine = orientation.canonical(*images.load_volume(name))
        found.append(brain_mask.brain_mask(volume, affine))
        sizes.append(np.count_nonzero(found[-1]) * affines.voxel_sizes(affine).prod() / 1000)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.03)
    assert dice(*found) > 0.98
