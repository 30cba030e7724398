"""Repeats of a T1w are put on the first, whatever their grid and scale, and averaged."""

import numpy as np
import pytest

from mebold.anat import average, mni
from mebold.geometry import affines, grids

VOXEL_MM = 3.0


@pytest.fixture(scope="module")
def images():
    maps, affine = mni.load_template(VOXEL_MM)
    rng = np.random.default_rng(4)
    moved = affines.rigid_matrix([6.0, -4.0, 3.0, 0.05, -0.03, 0.04], np.zeros(3))
    # Another orientation: the second image runs from right to left.
    other = np.diag([-VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    other[:3, 3] = [100.0, -130.0, -75.0]
    still = 1000 * maps["t1"]
    repeat = 500 * grids.onto(maps["t1"], affine, (68, 80, 66), other, matrix=np.linalg.inv(moved))
    noisy = [np.abs(x + s * rng.normal(size=x.shape)) for x, s in ((still, 60), (repeat, 30))]
    return still, affine, noisy[0], (noisy[1], other), maps["brain"] > 0.5


def test_noise_falls_and_edges_stay(images):
    still, affine, first, repeat, brain = images
    mean, moved = average.average(first, affine, [repeat], seed=1)
    assert moved[0] == pytest.approx(9.0, abs=3.0)
    before, after = (float(np.std((x - still)[brain])) for x in (first, mean))
    assert after < 0.8 * before
    assert np.median(mean[brain]) == pytest.approx(np.median(still[brain]), rel=0.02)


def test_one_image_comes_back_as_it_is(images):
    _, affine, first, _, _ = images
    mean, moved = average.average(first, affine, [], seed=1)
    assert mean is first
    assert moved == []
