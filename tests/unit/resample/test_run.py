"""The function that the series job calls: one interpolation in time, one in space."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mebold.geometry import affines, phase_encoding
from mebold.hmc import path
from mebold.resample import slice_clock, slice_timing
from mebold.resample.run import Placement, placed, resample_run

SHAPE = (20, 22, 18)
READOUT = 0.02
RUN = {
    "tr": 1.9,
    "tr_out": 1.0,
    "slice_timing": np.round(np.arange(18) % 6 * 0.3, 3).tolist(),
    "slice_encoding_direction": "k",
    "direction": "j-",
    "readout_s": READOUT,
}


@pytest.fixture
def placement(rng):
    turn = affines.rigid_matrix([4.0, -3.0, 2.0, 0.1, -0.06, 0.03], np.zeros(3))
    affine = turn @ np.diag([2.0, 1.8, 2.5, 1.0])
    points = affines.apply(affine, rng.uniform(4, 14, (900, 3)))
    centre = points.mean(axis=0)
    motion = [affines.rigid_matrix(rng.normal(0, [0.4] * 3 + [0.02] * 3), centre) for _ in range(8)]
    return Placement(
        affine=affine,
        points=points,
        motion=np.stack(motion),
        centre=centre,
        to_boldref=affines.rigid_matrix([0.7, -0.4, 0.3, 0.02, 0.01, -0.03], centre),
        field_hz=50.0 * np.sin(points[:, 1] / 10.0),
    )


def run_it(echoes, placement, **options):
    options = {"run": RUN, "method": "cubic", "least_coverage": 0.8, **options}
    options["store"] = lambda shape: np.full(shape, np.nan, np.float32)
    data, covered, about = resample_run(echoes, placement, **options)
    assert about["VoxelsPartlyOutside"] == np.count_nonzero(
        (covered >= options["least_coverage"]) & (covered < 1)
    )
    return data, about


def coordinates(placement, motion, change=None):
    """Return the voxels (3, V) that the composed map reads, in float64."""
    there = affines.apply(placement.to_boldref, placement.points)
    there = affines.apply(motion, there if placement.warp_mm is None else there + placement.warp_mm)
    voxel = affines.apply(np.linalg.inv(placement.affine), there).T
    voxel[1] -= READOUT * placement.field_hz
    if change is not None:
        voxel[1] -= READOUT * ndimage.map_coordinates(change, voxel, order=1)
    return voxel


@pytest.fixture(params=["static", "dynamic"])
def change(request, rng):
    """Return nothing, or a change of the field by up to 1.2 voxels."""
    if request.param == "static":
        return None
    slow = ndimage.gaussian_filter(rng.normal(0, 1, (*SHAPE, 8)), (3, 3, 0, 0))
    return (60.0 * slow / np.abs(slow).max()).astype(np.float32)


@pytest.mark.parametrize("warped", [False, True])
def test_a_delta_comes_out_as_one_spline_of_the_composed_map(placement, change, warped, rng):
    """Two interpolations in space, of any kind, would widen the impulse."""
    shift = rng.uniform(-2, 2, placement.points.shape) if warped else None
    placement = replace(placement, change_hz=change, warp_mm=shift)
    echo = np.zeros((*SHAPE, 8), np.float32)
    echo[9, 10, 9] = 1000.0 + np.arange(8)
    data, _ = run_it([echo, 2 * echo], placement, method="cubic")
    _, offsets = slice_clock.slice_times(RUN, SHAPE)
    timed = slice_timing.correct(echo, offsets, tr=1.9, tr_out=1.0)
    motion = path.at_times(
        placement.motion, tr=1.9, tr_out=1.0, n_out=16, centre=placement.centre,
        volume_time_s=np.mean(offsets),
    )  # fmt: skip
    changes = [None] * 16
    if change is not None:
        changes = np.moveaxis(slice_timing.correct(change, offsets, tr=1.9, tr_out=1.0), 3, 0)
    seen = 0
    for t in range(16):
        voxel = coordinates(placement, motion[t], changes[t])
        once = ndimage.map_coordinates(timed[..., t].astype(float), voxel, order=3, mode="mirror")
        np.testing.assert_allclose(data[0, :, t], np.maximum(once, 0), atol=0.05)
        np.testing.assert_allclose(data[1, :, t], 2 * data[0, :, t], rtol=1e-5)
        seen += once.max() > 200
    assert seen > 8


def test_edge_samples_are_named(placement, rng):
    data, about = run_it([rng.uniform(500, 900, (*SHAPE, 8))], placement)
    # Slices are acquired at 0 to 1.5 s; the first slice's last sample lies at 13.3 s.
    assert about["EdgeSamples"] == [0, 1, 14, 15]
    assert data.shape == (1, 900, 16)
    assert about["VoxelsOutside"] == about["VoxelsPartlyOutside"] == 0
    assert about["SmallestCoverage"] == 1.0


def moved_from(placement, first, last):
    """Return the placement with volumes first..last-1 of the run eight voxels off."""
    motion = placement.motion.copy()
    motion[first:last, :3, 3] += placement.affine[:3, 0] * 8.0
    return replace(placement, motion=motion)


def test_voxels_outside_in_most_samples_are_left_out_and_counted(placement, rng):
    echo = rng.uniform(500, 900, (*SHAPE, 8))
    moved = moved_from(placement, 3, 8)
    data, about = run_it([echo], moved)
    silent = (data[0] == 0).all(axis=1)
    assert 0 < about["VoxelsOutside"] == silent.sum()
    assert (data[0, ~silent] > 0).all()
    _, kept = run_it([echo], moved, least_coverage=0.2)
    assert kept["VoxelsPartlyOutside"] == about["VoxelsOutside"] + about["VoxelsPartlyOutside"]
    assert 0.2 <= kept["SmallestCoverage"] < 1.0


@pytest.mark.parametrize("per_volume", [False, True], ids=["static field", "field per volume"])
def test_one_jump_loses_no_voxel(placement, rng, per_volume):
    """Samples outside are bridged by a line in time, and all others stay as they are."""
    echo = np.tile(rng.uniform(500, 900, SHAPE)[..., None], 8) + 30.0 * np.arange(8)
    if per_volume:
        placement = replace(placement, change_hz=np.zeros((*SHAPE, 8), np.float32))
    still, nothing = run_it([echo], placement)
    assert nothing["BridgedSamples"] == []
    data, about = run_it([echo], moved_from(placement, 4, 5))
    assert about["VoxelsOutside"] == 0
    assert 0 < about["VoxelsPartlyOutside"] < 900
    assert set(about["BridgedSamples"]) <= {6, 7, 8, 9, 10}
    others = np.setdiff1d(np.arange(16), [6, 7, 8, 9, 10])
    np.testing.assert_array_equal(data[..., others], still[..., others])
    assert (data > 400).all()  # zeros would be the largest signal change of all


def test_steady_samples_rest_on_steady_volumes(placement, rng):
    echo = rng.normal(1000, 50, (*SHAPE, 8)).astype(np.float32)
    # What no steady sample may see: brightness, and motion fitted to another contrast.
    late, turned = echo.copy(), placement.motion.copy()
    late[..., :3] *= 2
    turned[:3] = affines.rigid_matrix([3.0, 0, 0, 0, 0.1, 0], placement.centre)
    first, about = run_it([echo], placement, non_steady=3)
    second, _ = run_it([late], replace(placement, motion=turned), non_steady=3)
    # 3 volumes end after 5.7 s.
    assert about["NonSteadyStateVolumes"] == 3
    assert about["NonSteadyStateSamples"] == 6
    assert first.shape == second.shape == (1, 900, 16)
    np.testing.assert_array_equal(first[..., 6:], second[..., 6:])
    assert (first[..., :6] != second[..., :6]).mean() > 0.9
    none, about = run_it([echo], placement)
    assert about["NonSteadyStateSamples"] == 0
    np.testing.assert_array_equal(none[..., :6], first[..., :6])


def test_without_slice_timing_and_field_nothing_but_motion_is_applied(placement, rng):
    run = RUN | {"slice_timing": None, "tr_out": 1.9, "slice_encoding_direction": "i-"}
    plain = Placement(**{**vars(placement), "field_hz": None})
    plain = Placement(
        **{**vars(plain), "motion": np.tile(np.eye(4), (8, 1, 1)), "to_boldref": np.eye(4)}
    )
    echo = rng.uniform(500, 900, (*SHAPE, 8))
    data, about = run_it([echo], plain, run=run)
    voxel = affines.apply(np.linalg.inv(plain.affine), plain.points).T
    once = ndimage.map_coordinates(echo[..., 5], voxel, order=3, mode="mirror")
    np.testing.assert_allclose(data[0, :, 5], once, atol=0.05)
    assert about["EdgeSamples"] == []


def test_the_intensity_factor_reaches_every_echo(rng, placement):
    echoes = [rng.normal(1000, 50, (*SHAPE, 8)).astype(np.float32) for _ in range(2)]
    plain, before = run_it(echoes, placement)
    factor = rng.uniform(0.5, 1.5, len(placement.points)).astype(np.float32)
    scaled, about = run_it(echoes, replace(placement, jacobian=factor))
    assert about == before | {"IntensityCorrectedForDistortion": True}
    np.testing.assert_allclose(scaled, plain * factor[:, None], rtol=1e-6)


def test_a_correction_of_gradient_nonlinearity_is_reported(rng, placement):
    echo = rng.normal(1000, 50, (*SHAPE, 8)).astype(np.float32)
    about = run_it([echo], replace(placement, warp_mm=np.zeros_like(placement.points)))[1]
    assert about == run_it([echo], placement)[1] | {"NonlinearGradientCorrection": True}


@pytest.mark.parametrize("warped", [False, True])
def test_field_and_factor_are_read_where_the_scanner_put_each_point(placement, warped):
    """A field linear in space is read exactly, and has one factor everywhere."""
    grid = affines.grid_points(SHAPE, placement.affine)
    slope = np.array([0.3, -0.7, 0.5])
    field = (grid @ slope + 20.0).reshape(SHAPE).astype(np.float32)
    shift = np.array([1.5, -1.0, 0.5]) if warped else np.zeros(3)
    warp = np.broadcast_to(shift.astype(np.float32), (*SHAPE, 3))
    known = {name: getattr(placement, name) for name in ("affine", "motion", "centre")}
    found = placed(
        placement.points, placement.to_boldref, field=(field, placement.affine),
        warp=(warp, placement.affine) if warped else None, jacobian_of=RUN, **known,
    )  # fmt: skip
    there = affines.apply(placement.to_boldref, placement.points) + shift
    inside = affines.apply(np.linalg.inv(placement.affine), there)
    inside = ((inside > 0) & (inside < np.array(SHAPE) - 1)).all(axis=1)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(found.field_hz[inside], (there @ slope + 20.0)[inside], atol=1e-2)
    epi = {"direction": RUN["direction"], "readout_s": READOUT}
    step = phase_encoding.voxel_shift(placement.affine[:3, 1] @ slope, **epi)
    np.testing.assert_allclose(found.jacobian[inside], 1 + step, atol=1e-4)
    if warped:
        np.testing.assert_allclose(found.warp_mm, np.broadcast_to(shift, there.shape), atol=1e-6)
    else:
        assert found.warp_mm is None


def test_what_is_not_known_is_not_placed(placement):
    known = {name: getattr(placement, name) for name in ("affine", "motion", "centre")}
    found = placed(placement.points, placement.to_boldref, jacobian_of=RUN, **known)
    assert found.field_hz is found.warp_mm is found.jacobian is found.change_hz is None
    field = np.ones(SHAPE, np.float32), placement.affine
    assert placed(placement.points, placement.to_boldref, field=field, **known).jacobian is None
