import numpy as np
import pytest
from configured import completed
from synthetic_head import make_scene

from mebold.coreg import agreement
from mebold.geometry import affines
from mebold.registration import doubts

LIMITS = completed({"bids_dir": "raw", "output_dir": "out"})["coreg"]
GOOD = {"correlation": 0.99, "mutual_information": 0.4, "mask_dice": 0.97, "converged": True}


@pytest.fixture(scope="module")
def scene():
    return make_scene(np.random.default_rng(5))


def judged(scene, matrix):
    quality = agreement.agreement(
        matrix,
        scene.epi,
        scene.epi_affine,
        scene.t1w,
        scene.t1w_affine,
        boldref_mask=scene.epi_mask,
        t1w_mask=scene.t1w_mask,
    )
    return quality, doubts.of(quality, LIMITS, doubts.COREG)


def test_the_true_alignment_raises_no_doubt(scene):
    quality, doubts = judged(scene, scene.truth)
    assert not doubts
    assert quality["mask_dice"] > 0.97
    assert quality["mutual_information"] > 2 * LIMITS["least_mutual_information"]


@pytest.mark.parametrize("wrong", [[4, 0, 0, 0, 0, 0], [0, -5, 0, 0, 0, 0], [0, 0, 0, 6, 0, 0]])
def test_a_wrong_alignment_is_named(scene, wrong):
    wrong = np.array(wrong, float)
    wrong[3:] = np.deg2rad(wrong[3:])
    matrix = scene.truth @ affines.rigid_matrix(wrong, np.zeros(3))
    quality, doubts = judged(scene, matrix)
    assert any("higher a few mm or degrees away" in sentence for sentence in doubts), quality


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"correlation": 0.5}, "coreg.least_correlation"),
        ({"mutual_information": 0.05}, "coreg.least_mutual_information"),
        ({"mutual_information_nearby": 0.41}, "0.410 against 0.400"),
        ({"mask_dice": float("nan")}, "coreg.least_dice"),
        ({"coverage": 0.79}, "coreg.least_coverage"),
        ({"converged": False}, "did not converge"),
        ({"bbr_refused": "shift", "bbr_shift_mm": 3.0}, "coreg.bbr_limit_mm"),
    ],
)
def test_each_low_number_gives_one_sentence(change, key):
    assert doubts.of(GOOD, LIMITS, doubts.COREG) == []
    (sentence,) = doubts.of(GOOD | change, LIMITS, doubts.COREG)
    assert key in sentence


def test_what_was_not_measured_is_not_judged():
    assert doubts.of({"bbr_refused": "gain", "bbr_shift_mm": 0.3}, LIMITS, doubts.COREG) == []


def test_the_caption_holds_numbers_and_the_first_doubt():
    assert doubts.caption(GOOD, []) == ("correlation 0.990, mutual information 0.40, Dice 0.970")
    assert doubts.caption(GOOD, ["look."]).endswith("; WARNING: look.")
