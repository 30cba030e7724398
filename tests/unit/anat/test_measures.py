"""Volumes, contrast and noise of an image that is known."""

import numpy as np
import pytest

from mebold.anat import doubts, measures, tissue

AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def ball(rng):
    """A ball of white matter in grey matter and fluid, in air: values 1000, 600, 200, noise 20."""
    x = np.indices((80, 80, 80)).T - 39.5
    radius = np.linalg.norm(x, axis=-1)
    dseg = np.select([radius < 9, radius < 14, radius < 16], [2, 1, 3], 0)
    value = np.choose(dseg, [0.0, 600.0, 1000.0, 200.0])
    noise = 20 * rng.normal(size=(2, *value.shape))
    return np.hypot(value + noise[0], noise[1]), dseg


def test_volumes_count_voxels_and_shares(ball):
    _, dseg = ball
    shares = np.stack([0.5 * (dseg == k) for k in (1, 2, 3)])
    found = measures.volumes(dseg, shares, dseg > 0, AFFINE)
    assert found["wm_ml"] == pytest.approx(0.008 * np.count_nonzero(dseg == 2))
    assert found["gm_probability_ml"] == pytest.approx(found["gm_ml"] / 2)
    whole = found["gm_ml"] + found["wm_ml"] + found["csf_ml"]
    assert found["intracranial_ml"] == pytest.approx(whole)


def test_contrast_and_noise_of_known_values(ball):
    image, dseg = ball
    found = measures.of_image(image, image, AFFINE, dseg=dseg, mask=dseg > 0)
    assert found["snr_wm"] == pytest.approx(50, rel=0.03)
    assert found["snr_gm"] == pytest.approx(30, rel=0.03)
    # Magnitude noise of the air has 0.655 of the standard deviation.
    assert found["cnr"] == pytest.approx(400 / (20 * np.sqrt(2 + 0.655**2)), rel=0.05)
    assert found["cjv"] == pytest.approx(40 / 400, rel=0.05)
    assert found["inu_range"] < 1e-6
    assert found["qi_1"] < 1e-3
    assert found["brain_at_edge"] == 0
    assert set(found) <= set(measures.MEASURES)


def test_ghosts_in_the_air_are_seen(ball):
    image, dseg = ball
    ghost = image + 0.15 * np.roll(image, 40, axis=0)
    plain, ghosted = (
        measures.of_image(one, one, AFFINE, dseg=dseg, mask=dseg > 0) for one in (image, ghost)
    )
    assert ghosted["qi_1"] > 0.005
    assert ghosted["efc"] > plain["efc"]
    assert ghosted["fber"] < 0.7 * plain["fber"]


def test_air_that_was_set_to_zero_measures_nothing(ball):
    image, dseg = ball
    image = np.where(dseg > 0, image, 1e-8)
    found = measures.of_image(image, image, AFFINE, dseg=dseg, mask=dseg > 0)
    assert np.isnan(found["fber"])
    zeroed = np.where(dseg > 0, image, 0.0)
    assert np.isnan(measures.qi_1(zeroed, dseg == 0))
    assert np.isfinite(found["cnr"])


def test_an_image_of_one_voxel_has_no_entropy():
    assert measures.efc(np.eye(1, 100)) == pytest.approx(0)
    assert measures.efc(np.ones((10, 10))) == pytest.approx(1)


def test_doubts_name_what_is_wrong():
    fine = {"intracranial_ml": 1500.0, "brain_at_edge": 0.0, "cnr": 3.0}
    by_priors = tissue.Segmentation(np.zeros(1), np.zeros(1), "priors")
    assert doubts.of(fine, by_priors) == []
    bad = {"intracranial_ml": 300.0, "brain_at_edge": 0.2, "cnr": 0.5}
    plain = tissue.Segmentation(np.zeros(1), np.zeros(1), "k-means", "the alignment failed")
    found = " ".join(doubts.of(bad, plain))
    for part in ("300 ml", "20 % of the brain's surface", "0.5 of their", "the alignment failed"):
        assert part in found
