"""Given regions: what an image holds, and where it comes to lie on the output grid."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.rois import given

SHAPE = (20, 24, 18)


def grid(size, origin):
    return affines_of(np.diag([size, size, size]), origin)


def affines_of(rotation, origin):
    affine = np.eye(4)
    affine[:3, :3] = rotation
    affine[:3, 3] = origin
    return affine


GRID = grid(2.0, (-20, -24, -18))
BRAIN = np.ones(SHAPE, bool)


def ball(shape, affine, centre, radius):
    points = affines.grid_points(shape, affine)
    return (np.linalg.norm(points - centre, axis=1) < radius).reshape(shape)


def place(source, affine, **more):
    return given.place(source, affine, shape=SHAPE, grid=GRID, brain=BRAIN, **more)


def test_a_mask_on_the_grid_is_copied():
    mask = ball(SHAPE, GRID, (2, 4, 0), 7)
    placed = place(mask, GRID)
    np.testing.assert_array_equal(placed.mask, mask)
    assert (placed.inside, placed.note) == (1.0, "")


@pytest.mark.parametrize(
    "affine",
    [
        grid(1.0, (-25, -25, -25)),
        affines_of(np.diag([-1.0, 1, 1]), (30, -25, -25)),  # stored from right to left
        affines_of([[0, 0, 1.2], [1.2, 0, 0], [0, -1.2, 0]], (-30, -30, 30)),  # other axes
    ],
)
def test_any_grid_and_orientation(affine):
    shape = (52, 52, 52)
    centre = (3, -5, 2)  # nothing is symmetric about it
    wanted = ball(SHAPE, GRID, centre, 7)
    placed = place(ball(shape, affine, centre, 7), affine)
    overlap = 2 * (placed.mask & wanted).sum() / (placed.mask.sum() + wanted.sum())
    assert overlap > 0.9  # of two balls of 7 mm in voxels of 2 mm
    assert abs(placed.inside - 1) < 0.1
    assert "nearest voxel" in placed.note


def test_a_probabilistic_map_is_interpolated_and_cut():
    affine = grid(4.0, (-28, -28, -28))
    points = affines.grid_points((14, 14, 14), affine)
    fraction = np.clip(1 - np.linalg.norm(points - (1, 2, 3), axis=1) / 12, 0, 1)
    fraction = fraction.reshape((14, 14, 14)).astype(np.float32)
    placed = place(fraction, affine, threshold=0.5)
    wanted = ball(SHAPE, GRID, (1, 2, 3), 6)
    assert 2 * (placed.mask & wanted).sum() / (placed.mask.sum() + wanted.sum()) > 0.85
    assert "linear interpolation and threshold" in placed.note
    assert place(fraction, affine, threshold=0.8).mask.sum() < placed.mask.sum() / 3


def test_through_a_template():
    """A template that lies 6 mm to the right of the subject."""
    points = affines.grid_points(SHAPE, GRID) + np.array([6, 0, 0])
    placed = place(ball(SHAPE, GRID, (8, 0, 0), 6), GRID, points=points)
    np.testing.assert_array_equal(placed.mask, ball(SHAPE, GRID, (2, 0, 0), 6))
    assert "through the alignment with the template" in placed.note


def test_a_region_of_another_brain_is_refused():
    brain = ball(SHAPE, GRID, (0, 0, 0), 9)
    source = ball(SHAPE, GRID, (11, 0, 0), 5)
    placed = given.place(source, GRID, shape=SHAPE, grid=GRID, brain=brain)
    assert 0 < placed.inside < 0.5
    share = f"{100 * placed.inside:.0f} %"
    said = f"region FFA1: {share} of s2.nii lie in the brain, at least 50 %.*another subject"
    with pytest.raises(DataError, match=said):
        given.check_place(placed, region="FFA1", name="s2.nii", least_inside=0.5)
    given.check_place(placed, region="FFA1", name="s2.nii", least_inside=0.1)


def test_what_lies_outside_the_grid_counts_as_outside():
    source = np.zeros((60, 60, 60), bool)
    source[:, 30, 30] = True
    placed = place(source, grid(2.0, (-60, -60, -60)))
    assert placed.inside == pytest.approx(SHAPE[0] / 60)


def test_a_region_between_the_voxels_is_refused():
    source = np.zeros((90, 90, 90), bool)
    source[41, 41, 41] = True  # 0.5 mm voxel between the centres of the grid
    placed = place(source, grid(0.5, (-19.4, -20.4, -20.4)))
    with pytest.raises(DataError, match="no voxel on the output grid"):
        given.check_place(placed, region="A", name="a.nii", least_inside=0.0)


def test_maps_are_read_between_known_voxels():
    affine = grid(3.0, (-30, -30, -30))
    shape = (22, 22, 22)
    slope = np.array([0.5, -0.3, 0.8])
    volume = (affines.grid_points(shape, affine) @ slope + 100).reshape(shape).astype(np.float32)
    volume[:8] = np.nan  # below x = -7.5 mm nothing is known
    found = given.values_at(volume, affine, shape=SHAPE, grid=GRID)
    x = affines.grid_points(SHAPE, GRID)[:, 0].reshape(SHAPE)
    wanted = (affines.grid_points(SHAPE, GRID) @ slope + 100).reshape(SHAPE)
    assert np.isnan(found[x < -8]).all()
    np.testing.assert_allclose(found[x > -6], wanted[x > -6], rtol=1e-4)
    same = given.values_at(volume, affine, shape=shape, grid=affine)
    np.testing.assert_array_equal(same, volume)


def test_kinds_of_images_are_never_guessed():
    mask = np.zeros((3, 3, 3))
    about = {"name": "a.nii", "region": "A"}
    with pytest.raises(DataError, match=r"region A is empty: a.nii has no voxel that is not 0"):
        given.cut(mask, **about)
    mask[0, 0, 0] = 255
    np.testing.assert_array_equal(given.cut(mask, **about)["A"], mask > 0)
    mask[1, 1, 1] = 3
    with pytest.raises(
        DataError, match=r"a.nii is no mask: it holds 3, 255 beside 0; give `lookup`"
    ):
        given.cut(mask, **about)
    with pytest.raises(DataError, match="give `threshold`"):
        given.cut(mask / 300, **about)
    with pytest.raises(
        DataError, match=r"no voxel above the threshold of 300 \(largest value 255\)"
    ):
        given.cut(mask, threshold=300, **about)


def test_label_images():
    atlas = np.array([[[0, 1, 2, 7]]])
    cut = {"name": "a_dseg.nii", "region": "A"}
    found = given.cut(atlas, labels={"V1": [1, 101], "V2": [2], "V3": [3]}, **cut)
    assert {name: mask.ravel().tolist() for name, mask in found.items()} == {
        "V1": [False, True, False, False],
        "V2": [False, False, True, False],
    }
    with pytest.raises(DataError, match="none of the labels of its lookup table, but 1, 2, 7"):
        given.cut(atlas, labels={"V3": [3]}, **cut)


def test_lookup_tables():
    table = pd.DataFrame({"index": [0, 1, 2, 3], "name": ["bg", "V1_v", "hV4", "V1_v"]})
    assert given.lookup(table, name="a.tsv") == {"V1v": [1, 3], "hV4": [2]}
    with pytest.raises(DataError, match="has the columns label, name; a lookup table needs"):
        given.lookup(table.rename(columns={"index": "label"}), name="a.tsv")
    with pytest.raises(DataError, match=r"index 1.5 is no whole number"):
        given.lookup(pd.DataFrame({"index": [1.5], "name": ["a"]}), name="a.tsv")
