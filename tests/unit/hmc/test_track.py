"""Head motion of an analytic head against the truth, in millimetres."""

import numpy as np
import pytest
from geometry_cases import ORIENTATIONS, head
from scipy.spatial.transform import Rotation

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines
from mebold.hmc import path, record, track
from mebold.registration.rigid import register, smoothing

SHAPE, AFFINE = ORIENTATIONS["RAS"]
POINTS = affines.grid_points(SHAPE, AFFINE)
INSIDE = head(POINTS) > 200


def rigid(translation, degrees):
    return affines.rigid_matrix(np.r_[translation, np.deg2rad(degrees)], np.zeros(3))


def seen(matrix, rng, *, shape=SHAPE, affine=AFFINE, noise=10.0):
    """Return the volume of a head that moved by a point map: moving(T x) = head(x)."""
    points = affines.grid_points(shape, affine)
    values = head(affines.apply(np.linalg.inv(matrix), points)).reshape(shape)
    return (values + rng.normal(0, noise, shape)).astype(np.float32)


def error_mm(estimate, truth):
    return affines.displacements(estimate, truth, POINTS[INSIDE])


@pytest.fixture(scope="module")
def run():
    """Return reference, series and truth of a run with small and large movements."""
    rng = np.random.default_rng(11)
    truth = [np.eye(4)]
    truth += [rigid(rng.uniform(-s, s, 3), rng.uniform(-s, s, 3)) for s in (0.2, 1, 1, 2, 5, 0.5)]
    series = np.stack([seen(t, rng) for t in truth], axis=-1)
    return seen(np.eye(4), rng), series, np.stack(truth)


def test_recovers_known_motion(run):
    reference, series, truth = run
    motion = track.track(series, reference, AFFINE)
    errors = np.array([error_mm(m, t) for m, t in zip(motion.matrices, truth, strict=True)])
    assert np.median(errors) <= 0.03
    assert errors.max() <= 0.1
    assert motion.usable.all()
    assert not motion.doubtful.any()
    assert motion.correlation.min() > 0.99


def test_coarse_voxels_are_smoothed_more():
    wanted = {"fwhm_mm": 3.0, "fwhm_voxels": 1.5, "coarse_mm": 8.0}
    sizes = {2.0: (3.0, 8.0), 4.0: (6.0, 8.0), 6.0: (9.0, 9.0)}
    for size, (fine, coarse) in sizes.items():
        affine = np.diag([1.0, -size, 2.0, 1.0])  # the longest side counts
        assert smoothing(affine, wanted) == {"fwhm_mm": fine, "coarse_mm": coarse}


def test_intensity_scale_is_free_and_reported(run):
    reference, series, truth = run
    motion = track.track(series[..., 5:6] * 2.5, reference, AFFINE)  # moved by several mm
    assert np.median(error_mm(motion.matrices[0], truth[5])) <= 0.03
    assert motion.scale[0] == pytest.approx(0.4, rel=2e-3)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_grid_of_the_series_does_not_matter(rng, run, name):
    shape, affine = ORIENTATIONS[name]
    truth = rigid([1.0, -0.8, 0.6], [1.5, -1.0, 2.0])
    moving = seen(truth, rng, shape=shape, affine=affine)
    estimate = register(moving, run[0], moving_affine=affine, reference_affine=AFFINE).matrix
    assert np.median(error_mm(estimate, truth)) <= 0.05
    back = register(run[0], moving, moving_affine=AFFINE, reference_affine=affine).matrix
    assert error_mm(back @ estimate, np.eye(4)).max() <= 0.1


def test_threads_do_not_change_the_result(run):
    reference, series, _ = run
    many = np.concatenate([series] * 5, axis=-1)
    one = track.track(many, reference, AFFINE).matrices
    three = track.track(many, reference, AFFINE, n_threads=3).matrices
    np.testing.assert_array_equal(one, three)


def test_large_head_turns_are_recovered(rng, run):
    truth = rigid([12.0, -12.0, 8.0], [52.0, -22.0, 30.0])
    series = np.stack([run[1][..., 0], seen(truth, rng), run[1][..., 1]], axis=-1)
    motion = track.track(series, run[0], AFFINE)
    assert np.median(error_mm(motion.matrices[1], truth)) <= 0.05
    assert np.median(error_mm(motion.matrices[2], run[2][1])) <= 0.03
    assert not motion.doubtful.any()


def test_a_receive_bias_fixed_to_the_scanner_does_not_pull_the_fit(rng):
    bias = np.exp(-0.5 * np.sum((POINTS - [40.0, 60.0, 50.0]) ** 2, axis=1) / 90.0**2)
    bias = (0.5 + bias).reshape(SHAPE)
    truth = rigid([3.0, -4.0, 2.0], [15.0, -8.0, 6.0])
    fit = register(
        seen(truth, rng) * bias,
        seen(np.eye(4), rng) * bias,
        moving_affine=AFFINE,
        reference_affine=AFFINE,
    )
    assert np.median(error_mm(fit.matrix, truth)) <= 0.05
    assert fit.correlation > 0.999


def test_another_object_is_flagged_not_trusted(rng, run):
    noise = rng.normal(500, 200, SHAPE)
    series = np.stack([run[1][..., 0], noise, run[1][..., 1]], axis=-1)
    motion = track.track(series, run[0], AFFINE)
    assert motion.doubtful.tolist() == [False, True, False]
    assert motion.usable.all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_empty_volumes_are_named(run, value):
    series = run[1][..., :4].copy()
    series[..., 2] = value
    motion = track.track(series, run[0], AFFINE)
    assert motion.usable.tolist() == [True, True, False, True]
    assert motion.doubtful.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(motion.matrices[2], motion.matrices[1])
    assert np.median(error_mm(motion.matrices[3], run[2][3])) <= 0.03


def test_a_few_voxels_that_are_not_finite_are_tolerated(rng, run):
    series = run[1][..., 1:2].copy()
    series[:3, :, :, 0] = np.nan  # outside the head, as after masking
    motion = track.track(series, run[0], AFFINE)
    assert motion.usable.all()
    assert np.median(error_mm(motion.matrices[0], run[2][1])) <= 0.03


def test_unusable_inputs_are_refused(run):
    reference, series, _ = run
    with pytest.raises(DataError, match="reference volume is constant"):
        track.track(series, np.zeros(SHAPE), AFFINE)
    with pytest.raises(DataError, match="none of the 2 volumes"):
        track.track(np.zeros((*SHAPE, 2)), reference, AFFINE)
    with pytest.raises(GridMismatchError, match="mask has shape"):
        track.track(series, reference, AFFINE, mask=np.ones((2, 2, 2), bool))
    small = np.zeros(SHAPE, bool)
    small[10, 10, 10] = True
    with pytest.raises(DataError, match="leaves 1 voxels"):
        track.track(series, reference, AFFINE, mask=small)
    with pytest.raises(DataError, match="moving volume is constant"):
        register(np.ones(SHAPE), reference, moving_affine=AFFINE, reference_affine=AFFINE)


def test_reference_from_the_series_is_sharper_than_its_mean(run):
    _, series, truth = run
    reference = track.robust_mean(series, AFFINE)
    middle = truth[len(truth) // 2]
    ideal = head(affines.apply(np.linalg.inv(middle), POINTS)).reshape(SHAPE)
    inside = INSIDE.reshape(SHAPE)
    aligned = np.abs(reference - ideal)[inside].mean()
    assert aligned < 0.5 * np.abs(series.mean(axis=-1) - ideal)[inside].mean()


def test_parameters_round_trip(run):
    centre = np.array([3.0, -5.0, 8.0])
    table = path.parameters(run[2], centre)
    assert table.shape == (7, 6)
    again = np.stack([affines.rigid_matrix(row, centre) for row in table])
    np.testing.assert_allclose(again, run[2], atol=1e-10)


def test_motion_at_output_times_follows_the_volume_times():
    rate = np.deg2rad(1.0)  # per volume
    centre = np.array([10.0, 20.0, 30.0])
    matrices = np.stack(
        [affines.rigid_matrix([0.5 * n, 0, 0, 0, 0, rate * n], centre) for n in range(12)]
    )
    result = path.at_times(matrices, tr=1.9, tr_out=1.0, n_out=23, centre=centre, volume_time_s=0.9)
    assert result.shape == (23, 4, 4)
    position = np.clip((np.arange(23) - 0.9) / 1.9, 0, 11)
    table = path.parameters(result, centre)
    np.testing.assert_allclose(table[:, 0], 0.5 * position, atol=1e-9)
    np.testing.assert_allclose(table[:, 5], rate * position, atol=1e-9)
    turns = Rotation.from_matrix(result[:, :3, :3]).as_matrix()
    np.testing.assert_allclose(turns, result[:, :3, :3], atol=1e-12)


def test_the_record_names_moved_and_doubtful_volumes():
    matrices = np.stack([rigid([x, 0, 0], [0, 0, 0]) for x in (0.0, 0.1, 1.0, 1.1)])
    ones = np.ones(4)
    doubtful = np.array([False, False, False, True])
    motion = track.Motion(matrices, ones, ones, ones, ones > 0, doubtful)
    table, flags = record.motion_record(motion, np.zeros(3), outlier_mm=0.5)
    np.testing.assert_allclose(table["trans_x"], [0.0, 0.1, 1.0, 1.1])
    np.testing.assert_allclose(table["framewise_displacement"][1:], [0.1, 0.9, 0.1])
    assert flags == {"OutlierVolumes": [2, 3], "DoubtfulVolumes": [3]}
    np.testing.assert_array_equal(record.match(table), np.ones((4, 2)))
    assert set(record.COLUMNS) == set(table)


def test_the_step_from_volumes_that_are_not_steady_is_no_outlier():
    matrices = np.stack([rigid([x, 0, 0], [0, 0, 0]) for x in (0.0, 0.0, 1.0, 1.0, 2.0)])
    ones = np.ones(5)
    motion = track.Motion(matrices, ones, ones, ones, ones > 0, ones < 0)
    known = {"outlier_mm": 0.5}
    assert record.motion_record(motion, np.zeros(3), **known)[1]["OutlierVolumes"] == [2, 4]
    late = record.motion_record(motion, np.zeros(3), **known, non_steady=2)[1]
    assert late["OutlierVolumes"] == [4]


def test_motion_of_one_volume_is_repeated():
    matrix = rigid([1, 2, 3], [4, 5, 6])[np.newaxis]
    result = path.at_times(
        matrix, tr=2.0, tr_out=1.0, n_out=2, centre=np.zeros(3), volume_time_s=1.0
    )
    np.testing.assert_array_equal(result, np.repeat(matrix, 2, axis=0))
