"""Slices lie where they say, with left on the left, for every orientation of the voxel axes."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from mebold.errors import DataError
from mebold.figures.rows import row_figure
from mebold.figures.slices import (
    VIEWS,
    Contour,
    Layer,
    Row,
    bounding_box,
    plane_image,
    spread,
    straight,
)
from mebold.geometry import affines

BOX = np.array([[-30.0, 30.0], [-40.0, 40.0], [-20.0, 20.0]])


def ramp_image(orientation, *, rotation=0.0, size=(2.0, 2.0, 2.0)):
    """Make an image with the value 1000 + x + 100 y + 0.01 z of each voxel's world position."""
    turn = affines.rigid_matrix(
        np.array([1.0, -2, 0.5, rotation, -rotation, rotation]), np.zeros(3)
    )
    base = np.diag([*size, 1.0])
    shape = np.ceil(100 / np.array(size)).astype(int)
    base[:3, 3] = -50
    image = nib.Nifti1Image(np.zeros(shape, np.float32), turn @ base)
    image = image.as_reoriented(
        nib.orientations.ornt_transform(
            nib.io_orientation(np.eye(4)), nib.orientations.axcodes2ornt(orientation)
        )
    )
    world = affines.grid_points(image.shape, image.affine)
    values = 1000 + world @ [1, 100, 0.01]
    return values.reshape(image.shape).astype(np.float32), image.affine


def expected_plane(axis, position, step):
    horizontal, vertical = VIEWS[axis][:2]
    columns = np.arange(BOX[horizontal, 0] + step / 2, BOX[horizontal, 1], step)
    rows = np.arange(BOX[vertical, 0] + step / 2, BOX[vertical, 1], step)
    weight = np.array([1, 100, 0.01])
    return (
        1000
        + weight[axis] * position
        + weight[horizontal] * columns[None]
        + weight[vertical] * rows[:, None]
    )


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "PIR", "SLA"])
@pytest.mark.parametrize("rotation", [0.0, 0.2])
def test_planes_show_world_coordinates_for_every_orientation(orientation, rotation):
    data, affine = ramp_image(orientation, rotation=rotation, size=(2.0, 2.5, 3.0))
    for axis, position in itertools.product(range(3), (-7.3, 4.0)):
        plane = plane_image(data, affine, axis=axis, position=position, box=BOX, step=2.0, order=1)
        np.testing.assert_allclose(plane, expected_plane(axis, position, 2.0), atol=0.05)


def test_outside_of_the_image_is_empty():
    data, affine = ramp_image("RAS")
    wide = BOX * 3
    plane = plane_image(data, affine, axis=2, position=0.0, box=wide, step=4.0, order=0)
    assert np.isnan(plane[0]).all()
    assert np.isfinite(plane).any()
    beyond = plane_image(data, affine, axis=2, position=80.0, box=BOX, step=4.0, order=0)
    assert np.isnan(beyond).all()


def test_box_and_positions_follow_the_mask():
    data, affine = ramp_image("LPS")
    world = affines.grid_points(data.shape, affine).reshape(*data.shape, 3)
    mask = (np.abs(world - [10, 0, -5]) < [8, 12, 6]).all(-1)
    box = bounding_box(mask, affine, margin_mm=5)
    np.testing.assert_allclose(box.mean(1), [10, 0, -5], atol=2)
    np.testing.assert_allclose(np.ptp(box, axis=1), [26, 34, 22], atol=3)
    where = spread(mask, affine, axis=0, n=4)
    assert np.all(np.diff(where) > 0)
    assert where.min() > 2
    assert where.max() < 18
    assert spread(mask, affine, axis=1, n=1).shape == (1,)


def test_empty_masks_are_refused():
    with pytest.raises(DataError, match="mask of the figure is empty"):
        bounding_box(np.zeros((3, 3, 3)), np.eye(4))
    with pytest.raises(DataError, match="mask of the figure is empty"):
        spread(np.zeros((3, 3, 3)), np.eye(4), axis=0, n=3)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR"])
def test_straight_affine_keeps_sizes_and_orientation(orientation):
    _, affine = ramp_image(orientation, rotation=0.15, size=(2.0, 2.5, 3.0))
    result = straight(affine)
    np.testing.assert_allclose(affines.voxel_sizes(result), affines.voxel_sizes(affine))
    assert nib.aff2axcodes(result) == nib.aff2axcodes(affine)
    assert np.count_nonzero(result[:3, :3]) == 3


def axial_figure(data, affine, **options):
    layer = Layer(data, affine, vmin=0, vmax=1)
    row = Row(2, np.array([0.0]), [layer], **options)
    figure, _ = row_figure([row], box=BOX, title="t")
    return figure


@pytest.mark.parametrize("orientation", ["RAS", "LAS"])
def test_left_of_the_head_is_drawn_on_the_left(orientation):
    data, affine = ramp_image(orientation)
    world = affines.grid_points(data.shape, affine).reshape(*data.shape, 3)
    left = (world[..., 0] < -10).astype(float)
    axes = axial_figure(left, affine).axes[0]
    image = axes.images[0]
    drawn = np.asarray(image.get_array())
    assert image.origin == "lower"
    assert image.get_extent() == [-30, 30, -40, 40]
    assert drawn[:, : drawn.shape[1] // 4].mean() == 1
    assert drawn[:, drawn.shape[1] // 2 :].mean() == 0
    assert [t.get_text() for t in axes.texts] == ["L", "R"]
    assert axes.texts[0].get_position()[0] < 0.5 < axes.texts[1].get_position()[0]


def test_slices_are_drawn_true_to_scale():
    data, affine = ramp_image("RAS", size=(2.0, 2.0, 4.0))
    rows = [Row(axis, np.array([0.0, 5.0]), [Layer(data, affine)]) for axis in (2, 1, 0)]
    figure, _ = row_figure(rows, box=BOX, title="t")
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        frame = axes.get_position(original=True)
        across, up = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
        assert frame.width * width / across == pytest.approx(frame.height * height / up, rel=0.02)


def test_thresholds_hide_and_contours_outline():
    data, affine = ramp_image("RAS")
    world = affines.grid_points(data.shape, affine).reshape(*data.shape, 3)
    ball = np.linalg.norm(world, axis=-1) < 15
    layer = Layer(world[..., 0], affine, vmin=-30, vmax=30, below=0.0, above=20.0)
    row = Row(2, np.array([0.0]), [layer], contours=[Contour(ball, affine, "red")])
    figure, _ = row_figure([row], box=BOX, title="t")
    axes = figure.axes[0]
    shown = axes.images[0].get_array()
    assert shown.min() > 0
    assert shown.max() <= 20
    paths = [p for c in axes.collections for p in c.get_paths() if len(p.vertices)]
    radius = np.linalg.norm(np.concatenate([p.vertices for p in paths]), axis=1)
    assert radius.mean() == pytest.approx(15, abs=1)


def test_edges_are_found_at_the_border():
    data, affine = ramp_image("RAS")
    world = affines.grid_points(data.shape, affine).reshape(*data.shape, 3)
    ball = (np.linalg.norm(world, axis=-1) < 15).astype(float)
    layer = Layer(ball, affine, vmin=0, vmax=1, order=1, edges=2.0)
    row = Row(2, np.array([0.0]), [layer])
    figure, _ = row_figure([row], box=BOX, title="t")
    edge = ~np.ma.getmaskarray(figure.axes[0].images[0].get_array())
    y, x = np.nonzero(edge)
    radius = np.hypot(x - 29.5, y - 39.5)
    assert 60 < edge.sum() < 200
    assert np.abs(radius - 15).max() < 2.5


def test_long_lines_at_the_top_are_broken():
    row = Row(2, np.array([0.0]), [Layer(np.ones((9, 9, 9)), np.eye(4), "gray", 0, 1)])
    text = "WARNING: " + "Dice overlap of the brain masks is low; " * 8
    figure, _ = row_figure([row], box=np.array([[0, 8.0]] * 3), title="of a run", subtitle=text)
    (lines,) = (t for t in figure.texts if t.get_text().startswith("WARNING"))
    figure.canvas.draw()
    assert lines.get_window_extent().x1 <= figure.bbox.x1
    assert " ".join(lines.get_text().split()) == text.strip()
