"""One interpolation of the composed map: against scipy, ants, and across orientations."""

import numpy as np
import pytest
from geometry_cases import ORIENTATIONS, head
from scipy import ndimage

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.files import images, transforms
from mebold.geometry import affines, bspline_sampling, interpolation
from mebold.resample import interpolate

SHAPE = (20, 22, 18)
READOUT = 0.02


@pytest.fixture
def affine():
    turn = affines.rigid_matrix([4.0, -3.0, 2.0, 0.1, -0.06, 0.03], np.zeros(3))
    return turn @ np.diag([2.0, 1.8, 2.5, 1.0])


@pytest.fixture
def chain(rng, affine):
    """Return points, motion, run alignment, field and warp of a small run."""
    points = affines.grid_points((12, 13, 11), affine @ np.diag([1.3, 1.4, 1.2, 1.0]))
    points = points + affines.apply(affine, [2.0, 2.0, 2.0]) - affine[:3, 3]
    centre = points.mean(axis=0)
    motion = np.stack(
        [affines.rigid_matrix(rng.normal(0, [0.5] * 3 + [0.02] * 3), centre) for _ in range(5)]
    )
    to_boldref = affines.rigid_matrix([0.7, -0.4, 0.3, 0.02, 0.01, -0.03], centre)
    return {
        "points": points,
        "motion": motion,
        "to_boldref": to_boldref,
        "field_hz": 60.0 * np.sin(points[:, 1] / 10.0),
        "warp_mm": 0.4 * np.cos(points / 15.0),
    }


def composed(chain, affine, t, *, axis, sign):
    """Return the voxel coordinates (3, V) of volume t by the formula, in float64."""
    reference = affines.apply(chain["to_boldref"], chain["points"]) + chain["warp_mm"]
    voxel = affines.apply(np.linalg.inv(affine) @ chain["motion"][t], reference).T
    voxel[axis] += sign * READOUT * chain["field_hz"]
    return voxel


def inside(voxel):
    limits = np.array(SHAPE)[:, np.newaxis] - 0.5
    return np.all((voxel >= -0.5) & (voxel <= limits), axis=0)


@pytest.mark.parametrize("direction", ["i", "j-", "k"])
@pytest.mark.parametrize(("order", "tolerance"), [(3, 0.02), (1, 0.02)])
def test_the_whole_chain_is_one_interpolation_of_the_composed_map(
    rng, affine, chain, direction, order, tolerance
):
    echoes = [rng.normal(1000, 300, (*SHAPE, 5)) for _ in range(3)]
    for echo in echoes:
        echo[:5] = 0.0
        echo[5, 9, 9] = 1000.0  # an isolated impulse: a second interpolation would widen it
    result = interpolate.resample_series(
        echoes, affine, order=order, direction=direction, readout_s=READOUT, **chain
    )
    axis, sign = "ijk".index(direction[0]), -1 if direction.endswith("-") else 1
    for t in range(5):
        voxel = composed(chain, affine, t, axis=axis, sign=sign)
        for e, echo in enumerate(echoes):
            expected = ndimage.map_coordinates(echo[..., t], voxel, order=order, mode="mirror")
            expected[~inside(voxel)] = 0.0
            np.testing.assert_allclose(result[e, :, t], expected, atol=tolerance)


def test_every_volume_is_read_once(monkeypatch, rng, affine, chain):
    calls = []
    original = bspline_sampling.gather
    monkeypatch.setattr(bspline_sampling, "gather", lambda *a: (calls.append(1), original(*a)))
    echoes = [rng.normal(size=(*SHAPE, 5)) for _ in range(3)]
    interpolate.resample_series(echoes, affine, direction="j", readout_s=READOUT, **chain)
    assert len(calls) == 5


def test_a_point_on_a_voxel_returns_its_value(rng, affine):
    volume = rng.normal(1000, 200, SHAPE)
    for order in (0, 1, 3):
        values = interpolation.resample_volume(
            volume, affine, affines.grid_points(SHAPE, affine), order=order
        )
        np.testing.assert_allclose(values.reshape(SHAPE), volume, atol=2e-2)


def test_outside_the_field_of_view_is_zero_and_counted(rng, affine):
    volume = rng.normal(1000, 200, (*SHAPE, 2))
    points = affines.apply(affine, [[0, 0, 0], [-0.49, 5, 5], [-0.51, 5, 5], [19.6, 5, 5]])
    shift = np.eye(4)
    shift[:3, 3] = affine[:3, 0]  # one voxel along i in the second volume
    motion = np.stack([np.eye(4), shift])
    values = interpolate.resample_series([volume], affine, points, motion=motion)[0]
    covered = interpolate.coverage(SHAPE, affine, points, motion=motion)
    assert (values != 0).tolist() == [[True, True], [True, True], [False, True], [False, False]]
    np.testing.assert_allclose(covered, [1.0, 1.0, 0.5, 0.0])


def test_order_0_keeps_labels(rng, affine):
    labels = rng.integers(0, 9, SHAPE)
    points = affines.grid_points(SHAPE, affine) + rng.uniform(-0.3, 0.3, (labels.size, 3))
    values = interpolation.resample_volume(labels, affine, points, order=0)
    assert (values.reshape(SHAPE) == labels).mean() > 0.999
    assert set(np.unique(values)) <= set(range(9))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_orientation_of_the_source_does_not_matter(name):
    shape, affine = ORIENTATIONS[name]
    volume = head(affines.grid_points(shape, affine)).reshape(shape)
    axis = np.linspace(-30, 30, 9)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    values = interpolation.resample_volume(volume, affine, points)
    expected = head(points)
    assert np.sqrt(np.mean((values - expected) ** 2)) < 0.01 * expected.mean()


def test_rigid_round_trip_returns_the_head():
    shape, affine = ORIENTATIONS["oblique"]
    points = affines.grid_points(shape, affine)
    volume = head(points).reshape(shape)
    rigid = affines.rigid_matrix([3.0, -2.0, 1.5, 0.05, -0.04, 0.08], np.zeros(3))
    there = interpolation.resample_volume(volume, affine, points, matrix=rigid).reshape(shape)
    back = interpolation.resample_volume(there, affine, points, matrix=np.linalg.inv(rigid))
    core = np.linalg.norm(points, axis=1) < 40
    assert np.sqrt(np.mean((back - volume.ravel())[core] ** 2)) < 0.02 * volume.ravel()[core].mean()


def test_saved_transform_gives_the_same_image_in_ants(tmp_path):
    import ants

    shape, affine = ORIENTATIONS["LPS"]
    points = affines.grid_points(shape, affine)
    volume = head(points).reshape(shape).astype(np.float32)
    rigid = affines.rigid_matrix([3.0, -2.0, 1.5, 0.05, -0.04, 0.08], np.zeros(3))
    transforms.save_xfm(tmp_path / "rigid_xfm.txt", rigid)
    images.save(tmp_path / "volume.nii.gz", volume, affine)
    image = ants.image_read(str(tmp_path / "volume.nii.gz"))
    expected = ants.apply_transforms(
        image, image, [str(tmp_path / "rigid_xfm.txt")], interpolator="linear"
    ).numpy()
    ours = interpolation.resample_volume(volume, affine, points, matrix=rigid, order=1).reshape(
        shape
    )
    inner = (slice(4, -4),) * 3
    slope = np.abs(np.diff(volume, axis=0)).max()  # per voxel, so 1e-3 of it is 1e-3 voxel
    np.testing.assert_allclose(ours[inner], expected[inner], atol=1e-3 * slope)


def test_field_per_volume_equals_one_volume_at_a_time(rng, affine, chain):
    series = rng.normal(1000, 200, (*SHAPE, 5))
    fields = chain.pop("field_hz")[:, np.newaxis] + np.linspace(-30, 30, 5)
    options = {"direction": "j", "readout_s": READOUT}
    together = interpolate.resample_series([series], affine, field_hz=fields, **options, **chain)
    motion = chain.pop("motion")
    for t in (0, 4):
        alone = interpolate.resample_series(
            [series[..., t : t + 1]], affine, motion=motion[t : t + 1], field_hz=fields[:, t],
            **options, **chain,
        )  # fmt: skip
        np.testing.assert_array_equal(together[0, :, t], alone[0, :, 0])


def test_threads_blocks_and_memory_maps_do_not_matter(rng, affine, tmp_path):
    series = np.asfortranarray(rng.normal(1000, 200, (10, 9, 8, 37)).astype(np.float32))
    points = affines.grid_points((8, 8, 7), affine) + 0.7
    motion = np.stack(
        [affines.rigid_matrix(rng.normal(0, 0.02, 6), points.mean(axis=0)) for _ in range(37)]
    )
    expected = interpolate.resample_series([series, 2 * series], affine, points, motion=motion)
    out = np.lib.format.open_memmap(
        tmp_path / "out.npy", mode="w+", dtype=np.float32, shape=expected.shape
    )
    interpolate.resample_series(
        [series, 2 * series], affine, points, motion=motion, out=out, n_threads=3
    )
    np.testing.assert_array_equal(out, expected)
    single = interpolation.resample_volume(series[..., 20], affine, points, matrix=motion[20])
    np.testing.assert_allclose(expected[0, :, 20], single, rtol=1e-4)


def test_jacobian_scales_and_clipping_removes_undershoot(affine):
    series = np.zeros((*SHAPE, 1))
    series[10, 11, 9] = 1000.0
    points = affines.grid_points(SHAPE, affine) + 0.9
    plain = interpolate.resample_series([series], affine, points)
    factor = np.full(len(points), 1.5)
    scaled = interpolate.resample_series([series], affine, points, jacobian=factor)
    clipped = interpolate.resample_series([series], affine, points, clip_negative=True)
    np.testing.assert_allclose(scaled, 1.5 * plain, rtol=1e-6)
    assert plain.min() < -10
    np.testing.assert_array_equal(clipped, np.maximum(plain, 0))


def test_refusals_name_the_shapes(rng, affine):
    series, points = np.zeros((*SHAPE, 3)), np.zeros((7, 3))
    cases = [
        (GridMismatchError, "motion has shape", {"motion": np.zeros((2, 4, 4))}),
        (GridMismatchError, "field_hz has shape", {"field_hz": np.zeros(6), "direction": "j",
                                                   "readout_s": 0.02}),
        (ConfigError, "needs PhaseEncodingDirection", {"field_hz": np.zeros(7)}),
        (ConfigError, "interpolation order 2", {"order": 2}),
        (GridMismatchError, "expected float32", {"out": np.zeros((1, 7, 3))}),
    ]  # fmt: skip
    for error, message, options in cases:
        with pytest.raises(error, match=message):
            interpolate.resample_series([series], affine, points, **options)
    with pytest.raises(GridMismatchError, match="echo 1 has shape"):
        interpolate.resample_series([series, series[..., :2]], affine, points)
    with pytest.raises(DataError, match="no echo"):
        interpolate.resample_series([], affine, points)
