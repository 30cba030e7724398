"""Alignment with a template: a known deformation is found, and ANTs reads its fields alike."""

import numpy as np
import pandas as pd
import pytest

from mebold.anat import mni, template
from mebold.errors import DataError, GridMismatchError
from mebold.files import transforms
from mebold.geometry import affines, displacement, grids, interpolation
from mebold.registration import doubts
from mebold.registration.ants import load_ants, to_ants

VOXEL_MM = 4.0
LIMITS = {"least_correlation": 0.7, "least_dice": 0.93}
POSE = affines.rigid_matrix(np.r_[12.0, -15.0, 20.0, np.deg2rad([8.0, -5.0, 10.0])], np.zeros(3))
SIZE = np.diag([0.95, 1.04, 0.97, 1.0])


def to_subject(points):
    """Return where points of the template lie in the subject: bent, resized and moved."""
    x, y, z = np.moveaxis(points / 25.0, -1, 0)
    bent = points + 3.0 * np.stack([np.sin(y), np.cos(z), np.sin(x)], axis=-1)
    return affines.apply(POSE @ SIZE, bent)


@pytest.fixture(scope="module")
def target():
    maps, affine = mni.load_template(3.0)
    return template.Brain(maps["t1"], maps["brain"] > 0.5, affine)


@pytest.fixture(scope="module")
def subject(target):
    """Return the template's brain as that of the subject, brighter, in an oblique LAS grid."""
    grid = np.diag([-3.0, 3.0, 3.0, 1.0])
    shape = (64, 80, 68)
    middle = to_subject(np.array([[0.0, -18.0, 8.0]]))[0]
    turn = affines.rigid_matrix([0, 0, 0, 0.1, -0.05, 0.08], np.zeros(3))
    grid = turn @ grid
    grid[:3, 3] = middle - grid[:3, :3] @ ((np.array(shape) - 1) / 2)
    points = affines.grid_points(shape, grid)
    there = affines.apply(np.linalg.inv(POSE @ SIZE), points)
    start = there
    for _ in range(50):
        there = start - (affines.apply(np.linalg.inv(POSE @ SIZE), to_subject(there)) - there)
    read = {"order": 1}
    image = interpolation.resample_volume(target.image, target.affine, there, **read).reshape(shape)
    mask = target.mask.astype(np.float32)
    mask = interpolation.resample_volume(mask, target.affine, there, **read).reshape(shape) > 0.5
    return template.Brain(300.0 * image + 20.0, mask, grid)


@pytest.fixture(scope="module")
def found(target, subject):
    return template.align(target, subject, voxel_mm=VOXEL_MM, seed=0)


def test_a_known_deformation_is_found_in_both_directions(target, subject, found):
    points = affines.grid_points(target.mask.shape, target.affine, target.mask)
    true = to_subject(points)
    there = points + displacement.at_points(found.to_t1w, found.template_affine, points)
    error = np.linalg.norm(there - true, axis=1)
    assert np.median(error) < 0.6  # voxels of 4 mm; the affine alone leaves 2 mm
    assert np.percentile(error, 95) < 2.5
    back = true + displacement.at_points(found.to_template, found.t1w_affine, true)
    error = np.linalg.norm(back - points, axis=1)
    assert np.median(error) < 0.6
    assert np.percentile(error, 95) < 2.5


def test_the_quality_tells_right_from_wrong(target, subject, found):
    numbers, moved = template.quality(target, subject, found)
    assert numbers["correlation"] > 0.85
    assert numbers["mask_dice"] > 0.96
    assert numbers["round_trip_mm"] < 1.0
    assert moved.shape == found.to_t1w.shape[:3]
    assert doubts.of(numbers, LIMITS, doubts.TEMPLATE) == []
    assert "WARNING" not in doubts.caption(numbers, [])
    off = template.Alignment(
        found.to_t1w + np.float32(6.0), found.template_affine, found.to_template, found.t1w_affine
    )
    numbers, _ = template.quality(target, subject, off)
    doubtful = doubts.of(numbers, LIMITS, doubts.TEMPLATE)
    assert len(doubtful) == 2
    assert "template.least_correlation" in doubtful[0]
    assert "WARNING: correlation" in doubts.caption(numbers, doubtful)
    assert numbers["round_trip_mm"] > 6.0


def test_ants_reads_the_written_fields_alike(target, subject, found, tmp_path):
    ants = load_ants()
    path = str(tmp_path / "sub-01_from-T1w_to-MNI_mode-image_xfm.nii.gz")
    transforms.save_displacement(path, found.to_t1w, found.template_affine)
    points = affines.grid_points(target.mask.shape, target.affine, target.mask)[::101]
    own = points + displacement.at_points(*transforms.load_displacement(path), points)
    table = pd.DataFrame(points * [-1, -1, 1], columns=list("xyz"))
    theirs = ants.apply_transforms_to_points(3, table, [path]).to_numpy()[:, :3] * [-1, -1, 1]
    np.testing.assert_allclose(own, theirs, atol=1e-3 * VOXEL_MM)

    fixed = to_ants(target.image, target.affine)
    moving = to_ants(subject.image, subject.affine)
    theirs = ants.apply_transforms(fixed, moving, [path], interpolator="linear").numpy()
    points = affines.grid_points(target.mask.shape, target.affine, target.mask)
    there = points + displacement.at_points(found.to_t1w, found.template_affine, points)
    own = interpolation.resample_volume(subject.image, subject.affine, there, order=1)
    np.testing.assert_allclose(own, theirs[target.mask], atol=0.5)
    assert np.corrcoef(own, target.image[target.mask])[0, 1] > 0.9


def test_the_head_around_the_brain_is_not_looked_at(target):
    loud = template.Brain(target.image + 9.0 * ~target.mask, target.mask, target.affine)
    for voxel_mm in (2.0, 5.0):
        ours, quiet = loud.extracted(voxel_mm), target.extracted(voxel_mm)
        for one, other in zip(ours, quiet, strict=True):
            np.testing.assert_array_equal(one, other)
    assert affines.voxel_sizes(loud.extracted(2.0)[2]) == pytest.approx([3.0] * 3)
    assert affines.voxel_sizes(loud.extracted(5.0)[2]) == pytest.approx([5.0] * 3)


def test_files_of_different_grids_are_refused(target):
    image, mask, affine = target.image, target.mask, target.affine
    template.given(image, affine, mask, affine)
    with pytest.raises(GridMismatchError, match=r"template.image.*template.mask"):
        template.given(image, affine, *grids.crop_to_mask(mask, affine, mask, margin_mm=0)[:2])
    with pytest.raises(DataError, match="holds no voxel"):
        template.given(image, affine, np.zeros_like(mask), affine)


def test_a_lifted_brain_stands_out_with_its_contrast(subject):
    dark = template.Brain(subject.image - subject.image[subject.mask].min(), subject.mask,
                          subject.affine)  # fmt: skip
    found = template.lifted(dark)
    assert not found.image[~subject.mask].any()
    inside = found.image[subject.mask]
    assert inside.min() > 0.3 * np.percentile(inside, 95)
    np.testing.assert_allclose(np.ptp(inside), np.ptp(dark.image[subject.mask]), rtol=1e-5)
