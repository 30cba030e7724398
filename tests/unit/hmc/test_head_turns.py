"""Large deliberate head turns, between runs and inside one: recovered, or flagged."""

import numpy as np
import pytest
from configured import completed
from synthetic_head import Scanner

from mebold.geometry import affines
from mebold.hmc import track
from mebold.registration import gauss_newton, rigid
from mebold.registration.doubts import COREG, of

LIMITS = completed({"bids_dir": "raw", "output_dir": "out"})["coreg"]


@pytest.fixture(scope="module")
def scanner():
    return Scanner()


@pytest.fixture(scope="module")
def reference(scanner):
    image, mask = scanner.image(np.random.default_rng(3), np.eye(4))
    return image, mask, affines.grid_points(scanner.shape, scanner.affine, mask)


def register(scanner, reference, moving):
    return rigid.register(
        moving,
        reference[0],
        moving_affine=scanner.affine,
        reference_affine=scanner.affine,
        mask=reference[1],
    )


def doubts(fit):
    quality = {"correlation": fit.correlation, "converged": fit.converged}
    return of(quality, LIMITS, COREG)


@pytest.mark.parametrize("turn", [(5, 0, 0), (0, -15, 0), (0, 0, 30), (-15, 5, 15), (30, 0, -15)])
def test_turns_between_runs_are_recovered_without_a_warning(rng, scanner, reference, turn):
    truth = scanner.pose(0.2 * np.array(turn), turn)
    fit = register(scanner, reference, scanner.image(rng, truth)[0])
    error = affines.displacements(fit.matrix, truth, reference[2])
    assert np.median(error) <= 0.15
    assert error.max() <= 0.5
    assert not doubts(fit)


@pytest.mark.parametrize(
    "turn", [(0, 0, 60), (80, 0, 0), (0, 0, 90), (0, 90, 0), (60, 60, 0), (0, 0, 180)]
)
def test_a_turn_beyond_the_search_is_never_silently_wrong(rng, scanner, reference, turn):
    truth = scanner.pose([15, -10, 0], turn)
    fit = register(scanner, reference, scanner.image(rng, truth)[0])
    error = affines.displacements(fit.matrix, truth, reference[2])
    assert error.max() <= 0.5 or doubts(fit)


def test_a_turn_of_five_degrees_left_uncorrected_would_be_flagged(rng, scanner, reference):
    """The limit on the correlation separates right from wrong by a few millimetres."""
    moving = scanner.image(rng, scanner.pose([1, -2, 1], [5, -3, 4]))[0]
    job = rigid.Registration(reference[0], scanner.affine, scanner.affine, reference[1], 3.0, 8.0)
    stuck = gauss_newton.gauss_newton(
        job.coefficients(moving, "fine"),
        scanner.affine,
        job.levels["fine"],
        np.eye(4),
        max_iterations=1,
    )
    assert any("correlation" in sentence for sentence in doubts(stuck))


def test_steps_of_five_to_ten_degrees_inside_a_run_are_recovered(rng, scanner, reference):
    turns = [(0, 0, 0), (5, 0, 0), (5, 0, 10), (-5, 8, 2), (-5, 8, 2), (3, -2, -8)]
    truth = [scanner.pose(0.2 * np.array(turn), turn) for turn in turns]
    images = [scanner.image(rng, pose, noise=0.06)[0] for pose in truth]
    motion = track.track(np.stack(images, axis=-1), reference[0], scanner.affine, mask=reference[1])
    for found, pose in zip(motion.matrices, truth, strict=True):
        error = affines.displacements(found, pose, reference[2])
        assert np.median(error) <= 0.15
        assert error.max() <= 0.5
    assert not motion.doubtful.any()


def test_a_volume_during_which_the_head_turned_is_flagged(rng, scanner, reference):
    """Slices of two poses in one volume: no rigid transform describes it."""
    there = scanner.image(rng, scanner.pose([0, 0, 0], [0, 0, 25]))[0]
    mixed = reference[0].copy()
    mixed[:, :, 1::2] = there[:, :, 1::2]
    series = np.stack([reference[0], mixed, there], axis=-1)
    motion = track.track(series, reference[0], scanner.affine, mask=reference[1])
    assert motion.doubtful.tolist() == [False, True, False]
