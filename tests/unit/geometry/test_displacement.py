"""Displacement fields: reading files, points, and images that a known field has displaced."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from mebold.errors import DataError, GridMismatchError
from mebold.files import transforms
from mebold.geometry import affines, displacement, interpolation
from mebold.registration.ants import load_ants, to_ants
from mebold.resample import interpolate

SHAPE = (40, 44, 36)
COARSE = (17, 16, 15)
DIRECTION, READOUT = "j-", 0.03


@pytest.fixture(scope="module")
def affine():
    """Return an oblique LAS grid with three voxel sizes."""
    turn = affines.rigid_matrix([3.0, -4.0, 2.0, 0.2, -0.1, 0.15], np.zeros(3))
    grid = np.diag([-2.5, 2.0, 3.0, 1.0])
    grid[:3, 3] = grid[:3, :3] @ -(np.array(SHAPE) - 1) / 2
    return turn @ grid


@pytest.fixture(scope="module")
def coarse_affine():
    """Return a straight grid that covers the image."""
    grid = np.diag([10.0, 10.0, 11.0, 1.0])
    grid[:3, 3] = [-82.0, -74.0, -78.0]
    return grid


def shift_mm(points):
    """Return a smooth displacement of up to 5 mm that grows away from the middle, like a coil's."""
    x, y, z = np.moveaxis(points / 50.0, -1, 0)
    return np.stack([4 * x * z**2 + 2 * x, 3 * y**3 - z + 2 * y, 4 * z - 2 * x**2], axis=-1)


def head(points):
    """Return a smooth image of the true space."""
    x, y, z = np.moveaxis(points, -1, 0)
    blob = np.exp(-((x / 30) ** 4) - (y / 34) ** 4 - (z / 36) ** 4)
    return 1000.0 * blob * (1.0 + 0.3 * np.cos(x / 5.0) * np.cos(y / 6.0) + 0.2 * np.sin(z / 6.0))


def hertz(points):
    """Return a field in Hz of up to two voxels, in the frame of the image as acquired."""
    return 60.0 * np.sin(points[..., 1] / 12.0)


def as_acquired(affine, *, field=False):
    """Return the image that a scanner with this displacement makes."""
    voxels = np.indices(SHAPE).reshape(3, -1).T.astype(float)
    acquired = voxels.copy()
    if field:  # the scanner adds it along j, after the displacement
        for _ in range(40):
            acquired[:, 1] = voxels[:, 1] + READOUT * hertz(affines.apply(affine, acquired))
    put = affines.apply(affine, acquired)
    true = put
    for _ in range(60):
        true = put - shift_mm(true)
    return head(true).reshape(SHAPE).astype(np.float32)


def within(affine, points):
    """Return the points whose surroundings are inside the image."""
    voxels = affines.apply(np.linalg.inv(affine), points)
    return ((voxels > 4) & (voxels < np.array(SHAPE) - 5)).all(axis=1)


@pytest.mark.parametrize("field", [False, True])
def test_a_known_displacement_is_undone(affine, field):
    points = affines.grid_points(SHAPE, affine)
    inner = within(affine, points)
    image = as_acquired(affine, field=field)
    chain = {}
    if field:
        on_grid = hertz(points).reshape(SHAPE).astype(np.float32)
        chain = {"field_hz": on_grid, "direction": DIRECTION, "readout_s": READOUT}

    def error(shift):
        found = displacement.undistorted(image, affine, warp_mm=shift, **chain).ravel()
        return np.sqrt(np.mean((found - head(points))[inner] ** 2))

    right = error(shift_mm(points))
    assert right < 0.5  # of 1000; 6 with the field read at the true place
    assert error(0.0 * points) > 20 * right
    assert error(-shift_mm(points)) > 20 * right


def test_series_and_reference_image_agree(affine, rng):
    points = affines.grid_points(SHAPE, affine)[::97]
    shift = shift_mm(points)
    image = as_acquired(affine)
    turn = affines.rigid_matrix([1.0, 2.0, -1.0, 0.05, 0.02, -0.04], np.zeros(3))
    series = np.stack([image, image], axis=3)
    motion = np.stack([np.eye(4), turn])
    both = interpolate.resample_series([series], affine, points, motion=motion, warp_mm=shift)[0]
    alone = interpolation.resample_volume(image, affine, points, warp_mm=shift)
    np.testing.assert_allclose(both[:, 0], alone, atol=1e-3)
    voxel = affines.apply(np.linalg.inv(affine) @ turn, points + shift).T
    inner = within(affine, affines.apply(turn, points + shift))
    expected = ndimage.map_coordinates(image.astype(float), voxel, order=3, mode="mirror")
    np.testing.assert_allclose(both[inner, 1], expected[inner], atol=0.05)


def test_points_and_images_move_as_with_ants(affine, coarse_affine, tmp_path):
    import pandas as pd

    ants = load_ants()
    field = shift_mm(affines.grid_points(COARSE, coarse_affine)).reshape(*COARSE, 3)
    path = str(tmp_path / "coil.nii.gz")
    transforms.save_displacement(path, field, coarse_affine)
    own = transforms.load_displacement(path)
    points = affines.grid_points(SHAPE, affine)
    shift = displacement.at_points(*own, points)
    lps = points * [-1, -1, 1]
    table = pd.DataFrame(lps[::501], columns=list("xyz"))
    moved = ants.apply_transforms_to_points(3, table, [path]).to_numpy()[:, :3] * [-1, -1, 1]
    np.testing.assert_allclose(points[::501] + shift[::501], moved, atol=2e-3)  # 1e-3 of a voxel

    image = as_acquired(affine)
    epi = to_ants(image, affine)
    pulled = ants.apply_transforms(epi, epi, [path], interpolator="linear").numpy()
    found = displacement.undistorted(image, affine, warp_mm=shift, order=1)
    inner = within(affine, points).reshape(SHAPE)
    np.testing.assert_allclose(found[inner], pulled[inner], atol=0.5)  # of 1500
    wrong = displacement.undistorted(image, affine, warp_mm=-shift, order=1)
    assert np.abs(wrong - pulled)[inner].max() > 100


def test_both_accepted_forms_hold_the_same_field(coarse_affine, tmp_path):
    field = shift_mm(affines.grid_points(COARSE, coarse_affine)).reshape(*COARSE, 3)
    transforms.save_displacement(tmp_path / "itk.nii.gz", field, coarse_affine)
    for shape, name in (((*COARSE, 3), "four"), ((*COARSE, 1, 3), "five")):
        image = nib.Nifti1Image(field.reshape(shape).astype(np.float32), coarse_affine)
        image.header["intent_code"] = 1006
        nib.save(image, tmp_path / f"{name}.nii.gz")
    for name in ("itk", "four", "five"):
        found, affine = transforms.load_displacement(tmp_path / f"{name}.nii.gz")
        np.testing.assert_allclose(found, field, atol=1e-5)
        np.testing.assert_allclose(affine, coarse_affine, atol=1e-5)
    header = nib.load(tmp_path / "itk.nii.gz").header
    assert (header["intent_code"], header.get_data_shape()) == (1007, (*COARSE, 1, 3))


@pytest.mark.parametrize(
    ("shape", "intent"),
    [
        ((4, 4, 4, 3), 0),
        ((4, 4, 4, 3), 1007),
        ((4, 4, 4), 1006),
        ((4, 4, 4, 2, 3), 1007),
        ((4, 4, 4, 1, 2), 1007),
        ((4, 4, 4, 3), 2006),
    ],
)
def test_other_forms_are_refused_with_what_would_be_accepted(shape, intent, tmp_path):
    image = nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4))
    image.header["intent_code"] = intent
    nib.save(image, tmp_path / "coil.nii.gz")
    with pytest.raises(DataError, match=rf"coil.nii.gz .*intent code {intent}.*code 1007.*1006"):
        transforms.load_displacement(tmp_path / "coil.nii.gz")


def test_displacements_that_are_not_finite_are_refused(coarse_affine, tmp_path):
    field = np.zeros((*COARSE, 3), np.float32)
    field[3, 4, 5, 1] = np.nan
    transforms.save_displacement(tmp_path / "coil.nii.gz", field, coarse_affine)
    with pytest.raises(DataError, match="of 1 of 4080 voxels are not finite"):
        transforms.load_displacement(tmp_path / "coil.nii.gz")


def test_brain_beyond_the_field_is_refused_and_other_points_take_the_edge(affine, coarse_affine):
    field = shift_mm(affines.grid_points(COARSE, coarse_affine)).reshape(*COARSE, 3)
    mask = np.zeros(SHAPE, bool)
    mask[5:-5, 5:-5, 5:-5] = True
    displacement.require_inside(mask, affine, field, coarse_affine, name="coil.nii.gz")
    half = field[: COARSE[0] // 2]
    with pytest.raises(DataError, match=r"coil.nii.gz: \d+ of 26520 brain voxels lie outside"):
        displacement.require_inside(mask, affine, half, coarse_affine, name="coil.nii.gz")
    edge = coarse_affine[:3, 3]
    beyond = np.stack([edge, edge - 40.0])
    np.testing.assert_allclose(
        displacement.at_points(field, coarse_affine, beyond), [field[0, 0, 0]] * 2
    )


def test_displacements_of_another_grid_are_refused(affine):
    with pytest.raises(GridMismatchError, match="5 displacements for an image of"):
        displacement.undistorted(np.zeros(SHAPE), affine, warp_mm=np.zeros((5, 3)))
