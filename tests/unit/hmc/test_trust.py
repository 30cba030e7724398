"""Which volumes are doubtful, how many others may be bad, and what leaves the field of view."""

import numpy as np
import pytest
from configured import completed
from synthetic_head import Scanner

from mebold.geometry import affines
from mebold.hmc import track, view
from mebold.hmc.trust import Trust, doubted, of

SETTINGS = completed({"bids_dir": "raw", "output_dir": "out"})["hmc"]


def judge(correlation, overlap=1.0, **options):
    correlation = np.asarray(correlation, float)
    overlap = np.broadcast_to(overlap, correlation.shape)
    converged = np.ones(correlation.shape, bool)
    return doubted(correlation, overlap, converged, **{"trust": Trust(), **options})


def test_the_limits_are_those_of_the_configuration():
    assert of(SETTINGS) == Trust()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.8])
def test_the_level_is_that_of_the_good_volumes_however_many_are_bad(share):
    rng = np.random.default_rng(0)
    bad = rng.random(200) < share
    # The bad ones are 4 mm off: 0.92 on the `scanner` phantom.
    correlation = np.where(bad, 0.92, 0.998) + rng.normal(0, 0.003, 200)
    np.testing.assert_array_equal(judge(correlation), bad)


def test_the_drop_is_relative_because_noise_lowers_every_correlation():
    assert judge([0.5 * 0.998] * 9 + [0.5 * 0.985], trust=Trust(floor=0.1)).tolist() == [False] * 10
    assert judge([0.5 * 0.998] * 9 + [0.5 * 0.97], trust=Trust(floor=0.1))[-1]


def test_little_overlap_is_doubted_in_the_series_and_in_itself():
    assert judge(np.full(10, 0.99), [1.0] * 9 + [0.7]).tolist() == [False] * 9 + [True]
    assert not judge(np.full(10, 0.99), 0.6).any()  # a slab in all volumes alike
    assert judge(np.full(10, 0.99), 0.45).all()


def test_volumes_that_are_not_steady_neither_count_nor_are_held_to_the_level():
    correlation = np.r_[0.94, 0.99, np.full(8, 0.998)]
    assert judge(correlation)[0]
    assert not judge(correlation, non_steady=2).any()
    assert judge([0.4, *correlation], non_steady=3)[0]
    # Without steady volumes that are good, nothing is a level.
    assert not judge([0.99, 0.8, 0.8], non_steady=1).any()


@pytest.fixture(scope="module")
def scanner():
    return Scanner()


def test_most_volumes_torn_are_found(scanner):
    """Half of the slices of another pose in six of ten volumes: the level is that of the others."""
    rng = np.random.default_rng(3)
    reference, mask = scanner.image(rng, np.eye(4))
    series = []
    for t in range(10):
        still = scanner.image(rng, np.eye(4), noise=0.05)[0]
        moved = scanner.image(rng, scanner.pose([0, 0, 6], [0, 0, 12]), noise=0.05)[0]
        if t in (1, 3, 4, 6, 8, 9):
            still[:, :, 1::2] = moved[:, :, 1::2]
        series.append(still)
    motion = track.track(np.stack(series, axis=-1), reference, scanner.affine, mask=mask)
    assert np.flatnonzero(motion.doubtful).tolist() == [1, 3, 4, 6, 8, 9]


def test_a_head_that_leaves_the_field_of_view_is_doubtful(scanner):
    rng = np.random.default_rng(4)
    reference, mask = scanner.image(rng, np.eye(4))
    away = affines.rigid_matrix([0, 0, -65.0, 0, 0, 0], np.zeros(3))
    images = [scanner.image(rng, pose)[0] for pose in (np.eye(4), np.eye(4), away)]
    motion = track.track(np.stack(images, axis=-1), reference, scanner.affine, mask=mask)
    assert motion.overlap[2] < 0.75 < motion.overlap[0]
    assert motion.doubtful.tolist() == [False, False, True]


def test_what_motion_takes_out_of_the_field_of_view_is_a_warning():
    mask = np.zeros((10, 10, 10), bool)
    mask[:, 3:7, 3:7] = True
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    matrices = np.tile(np.eye(4), (4, 1, 1))
    known = {"shape": mask.shape, "affine": affine}
    assert view.outside(mask, affine, matrices, **known) == (0.0, 0)
    matrices[1, 0, 3] = 0.9  # less than half a voxel
    matrices[2, 0, 3] = 3.2  # two slices leave at one end
    matrices[3, 0, 3] = -2.0  # one at the other
    assert view.outside(mask, affine, matrices, **known) == (pytest.approx(0.3), 2)
    told = view.doubts(mask, affine, matrices, mask.shape, affine, SETTINGS)
    assert len(told) == 1
    assert "30 % of the brain" in told[0]
    assert "volume 2" in told[0]
    assert not view.doubts(mask, affine, matrices, mask.shape, affine, {"most_outside": 0.3})
