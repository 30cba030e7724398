from dataclasses import replace

import numpy as np
import pytest
from synthetic_head import epi_contrast, make_scene

from mebold.anat import mni
from mebold.coreg.align import boldref_to_t1w
from mebold.errors import DataError
from mebold.files import tables
from mebold.geometry import affines, grids
from mebold.registration import ants, similarity, unlike


def align(scene, **options):
    return boldref_to_t1w(
        scene.epi,
        scene.epi_affine,
        scene.t1w,
        scene.t1w_affine,
        boldref_mask=scene.epi_mask,
        t1w_mask=scene.t1w_mask,
        **options,
    )


@pytest.fixture(scope="module")
def scene():
    return make_scene(np.random.default_rng(5))


@pytest.fixture(scope="module")
def aligned(scene):
    return align(scene, wm_probability=scene.wm)


def test_head_is_found_from_six_millimetres_and_five_degrees(scene, aligned):
    matrix, qc = aligned
    error = scene.error_mm(matrix)
    assert np.median(scene.error_mm(np.eye(4))) > 4.0
    assert np.median(error) < 0.3
    assert error.max() < 0.6
    assert qc["mutual_information"] > qc["mutual_information_initial"]
    assert qc["mask_dice"] > 0.97
    assert 0.9 < qc["coverage"] <= 1.0


def test_the_result_is_rigid_and_the_quality_fits_a_sidecar(aligned, tmp_path):
    matrix, qc = aligned
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
    tables.write_json(tmp_path / "qc.json", qc)
    assert tables.read_json(tmp_path / "qc.json")["bbr_accepted"] is qc["bbr_accepted"]


def test_one_seed_gives_one_result_and_refusal_keeps_the_start(scene, aligned):
    """Without refinement, and with a refinement that may not move anything."""
    without, _ = align(scene)
    refused, qc = align(scene, wm_probability=scene.wm, max_bbr_shift_mm=0.0)
    np.testing.assert_array_equal(without, refused)
    assert qc["bbr_accepted"] is False
    assert qc["bbr_shift_mm"] > 0.0
    assert qc["bbr_refused"] == "shift"
    assert aligned[1]["bbr_accepted"] is True
    assert aligned[1]["bbr_gain"] > 2 * aligned[1]["bbr_gain_error"] > 0
    unsure, qc = align(scene, wm_probability=scene.wm, least_bbr_gain=1e3)
    np.testing.assert_array_equal(without, unsure)
    assert (qc["bbr_refused"], qc["bbr_accepted"]) == ("gain", False)


def test_a_search_that_ends_below_its_start_is_made_again_from_another(scene, monkeypatch):
    calls = []
    search = ants.register_linear

    def astray(*arguments, **options):
        calls.append(options["initial"])
        found = search(*arguments, **options)
        return (
            found @ affines.rigid_matrix([30, 0, 0, 0.2, 0, 0], np.zeros(3))
            if len(calls) == 1
            else found
        )

    monkeypatch.setattr(ants, "register_linear", astray)
    matrix, _ = align(scene)
    assert len(calls) == 2
    assert not np.array_equal(*calls)
    assert np.median(scene.error_mm(matrix)) < 1.0


def test_far_apart_scanner_coordinates_start_from_the_mask_centres(scene):
    far = np.eye(4)
    far[:3, 3] = [0.0, 60.0, -80.0]
    centres = [
        affines.apply(grid, np.argwhere(mask).mean(axis=0))
        for grid, mask in (
            (scene.t1w_affine, scene.t1w_mask),
            (far @ scene.epi_affine, scene.epi_mask),
        )
    ]
    found = unlike.starts(*centres)
    errors = [affines.displacements(s, far @ scene.truth, np.zeros((1, 3)))[0] for s in found]
    assert errors[0] > 80.0
    assert errors[1] < 15.0


def test_a_head_turned_by_thirty_degrees_is_found(scene):
    turn = affines.rigid_matrix([10.0, 0, 0, 0.0, 0.0, np.deg2rad(30)], np.zeros(3))
    matrix, qc = boldref_to_t1w(
        scene.epi,
        turn @ scene.epi_affine,
        scene.t1w,
        scene.t1w_affine,
        boldref_mask=scene.epi_mask,
        t1w_mask=scene.t1w_mask,
    )
    assert np.median(scene.error_mm(np.linalg.inv(turn) @ matrix)) < 0.6
    assert qc["rotation_deg"] > 20.0


def make_t2w(scene, rng):
    """Return a T2w image of the scene's head: fluid bright, in a pose of its own."""
    maps, affine = mni.load_template(2.0)
    contrast, grid = grids.coarsen(epi_contrast(maps) ** 1.5, affine, voxel_mm=4.0)
    image = np.abs(contrast + 0.03 * rng.normal(size=contrast.shape)).astype(np.float32)
    moved = affines.rigid_matrix([3.0, -2.0, 2.0, *np.deg2rad([2.0, -3.0, 1.0])], np.zeros(3))
    return image, moved @ grid


def test_the_t2w_leads_where_its_contrast_is_better(scene):
    rng = np.random.default_rng(8)
    flat = replace(scene, t1w=(0.1 * scene.t1w_mask + 0.3 * rng.random(scene.t1w.shape)))
    poor = align(flat, wm_probability=scene.wm, target="T1w", max_bbr_shift_mm=0.0)[0]
    matrix, qc = align(flat, wm_probability=scene.wm, t2w=make_t2w(scene, rng), max_bbr_shift_mm=0)
    assert qc["image"] == "T2w"
    assert qc["image_costs"]["T2w"] < qc["image_costs"]["T1w"]
    assert np.median(scene.error_mm(matrix)) < 0.6 * np.median(scene.error_mm(poor))


def test_a_t2w_without_contrast_does_not_lead(scene, aligned):
    rng = np.random.default_rng(9)
    image, affine = make_t2w(scene, rng)
    noise = np.where(image > 0.2, rng.uniform(0.5, 1.5, image.shape), 0.0)
    matrix, qc = align(scene, wm_probability=scene.wm, t2w=(noise, affine))
    assert qc["image"] == "T1w"
    np.testing.assert_array_equal(matrix, aligned[0])


def test_the_target_can_be_forced(scene):
    t2w = make_t2w(scene, np.random.default_rng(8))
    matrix, qc = align(scene, wm_probability=scene.wm, t2w=t2w, target="T2w")
    assert list(qc["image_costs"]) == ["T2w"]
    assert np.median(scene.error_mm(matrix)) < 0.4


@pytest.mark.parametrize(
    "away",
    [(0, 0, 0, 0, 0, 0), (70, 0, 0, 0, 0, 0), (0, -40, 60, 0, 0, 0), (30, 40, -50, 15, -10, 12)],
)
def test_a_t2w_far_away_leads_as_one_in_place(scene, away):
    image, affine = make_t2w(scene, np.random.default_rng(8))
    move = affines.rigid_matrix([*away[:3], *np.deg2rad(away[3:])], np.zeros(3))
    matrix, qc = align(scene, wm_probability=scene.wm, t2w=(image, move @ affine), target="T2w")
    assert list(qc["image_costs"]) == ["T2w"]
    assert qc["t2w_doubts"] == []
    assert qc["t2w"]["shift_mm"] > 0.9 * np.linalg.norm(away[:3])
    assert np.median(scene.error_mm(matrix)) < 0.4


@pytest.mark.parametrize("target", ["auto", "T2w"])
def test_a_t2w_that_cannot_be_aligned_is_left_out_and_named(scene, aligned, target):
    image, affine = make_t2w(scene, np.random.default_rng(8))
    other = image[:, ::-1, ::-1][:, :, : image.shape[2] // 3]  # upside down, back to front, cut
    matrix, qc = align(scene, wm_probability=scene.wm, t2w=(other, affine), target=target)
    assert qc["image"] == "T1w"
    assert qc["t2w_doubts"]
    assert all("the T2w image is not used" in sentence for sentence in qc["t2w_doubts"])
    np.testing.assert_array_equal(matrix, aligned[0])
    _, qc = align(scene, t2w=(other, affine), target="T2w")  # nothing to compare both by
    assert list(qc["image_costs"]) == ["T1w"]


@pytest.mark.parametrize("which", ["boldref_mask", "t1w_mask"])
def test_empty_masks_are_refused(scene, which):
    masks = {"boldref_mask": scene.epi_mask, "t1w_mask": scene.t1w_mask}
    masks[which] = np.zeros_like(masks[which])
    with pytest.raises(DataError, match="brain mask is empty"):
        boldref_to_t1w(scene.epi, scene.epi_affine, scene.t1w, scene.t1w_affine, **masks)


def test_an_image_of_zeros_is_refused(scene):
    with pytest.raises(DataError, match="EPI brain mask is empty, of another size, or the image"):
        boldref_to_t1w(
            np.full_like(scene.epi, np.nan),
            scene.epi_affine,
            scene.t1w,
            scene.t1w_affine,
            boldref_mask=scene.epi_mask,
            t1w_mask=scene.t1w_mask,
        )


def test_mutual_information_of_known_pairs(rng):
    x = rng.integers(0, 4, 40_000)
    assert similarity.mutual_information(x, (x * 7) % 4, bins=4) == pytest.approx(
        np.log(4), rel=1e-2
    )
    assert similarity.mutual_information(x, rng.normal(size=x.size)) < 0.01
    assert similarity.mutual_information(x, np.ones(x.size)) == 0.0


def test_dice_of_known_masks():
    assert similarity.dice([1, 1, 0, 0], [0, 1, 1, 0]) == 0.5
    assert similarity.dice([0], [0]) == 0.0
