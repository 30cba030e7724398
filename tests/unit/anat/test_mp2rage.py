"""MP2RAGE: dark air, the brain, on images of a pulse-by-pulse simulation."""

import numpy as np
import pytest

from mebold.anat import bias, brain_mask, mp2rage, priors, tissue
from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, masks
from mebold.phantom import anatomy
from mebold.phantom.mp2rage import simulate_mp2rage
from mebold.phantom.spec import make_spec


@pytest.fixture(scope="module")
def scan():
    """Images of a head with B1+ of 0.8 to 1.25, SNR 45, and what they hold."""
    spec = make_spec("tiny", mp2rage=True)
    head = anatomy.make_head(spec, "01")
    shape, affine = anatomy.centred_grid(head.centre, 3.0, np.array(spec.t1w_fov_mm))
    points = affines.grid_points(shape, affine)
    tissue = head.tissue(points)
    rng = np.random.default_rng(3)
    made = simulate_mp2rage(spec, tissue, points, shape, affine, head.centre, rng)
    tissue = {name: values.reshape(shape) for name, values in tissue.items()}
    return made, tissue, affine


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def clean(scan, regularisation=3.0):
    made, _, affine = scan
    unit = mp2rage.to_fraction(made.unit1)
    return mp2rage.with_inversions(
        unit, made.inv1, made.inv2, affine, regularisation=regularisation
    )


def test_air_is_dark_and_tissue_keeps_its_contrast(scan):
    made, tissue, affine = scan
    unit = mp2rage.to_fraction(made.unit1)
    found = clean(scan)
    air = ~masks.dilated(made.truth["head"] > 0.02, affine, 6.0)
    assert (unit[air] + 0.5).std() > 0.27
    assert found.image[air].mean() < 0.06
    assert found.image[air].std() < 0.06
    white, grey = (tissue[name] > 0.9 for name in ("wm", "gm"))
    assert np.abs(found.image - (unit + 0.5))[white].mean() < 0.03
    assert found.image[white].mean() - found.image[grey].mean() > 0.45
    # Nothing is taken off at 0.
    np.testing.assert_allclose(clean(scan, 0.0).image[white], unit[white] + 0.5, atol=0.01)


def test_the_head_and_the_brain_are_found(scan):
    made, tissue, affine = scan
    found = clean(scan)
    assert dice(found.head, made.truth["head"] > 0.5) > 0.97
    brain = tissue["brain"] > 0.5
    assert dice(brain_mask.brain_mask(found.weighted, affine), brain) > 0.96


def test_the_cleaned_image_gets_its_classes_with_the_priors_of_the_template(scan):
    _, parts, affine = scan
    brain = parts["brain"] > 0.5
    image = bias.bias_correct(clean(scan).image, affine, brain)
    settings = {"priors": True, "registration_mm": 6.0}
    limits = {"least_correlation": 0.7, "least_dice": 0.93}
    expected = priors.expected(image, affine, brain, settings, limits=limits, seed=1)
    assert expected.refused == ""
    found = tissue.classify(image, affine, brain, priors=expected.maps, prior_weight=0.25)
    assert found.method == "priors"
    assert found.pure
    true = np.argmax(np.stack([parts["gm"], parts["wm"], parts["csf"]]), axis=0) + 1
    for label in (1, 2):
        assert dice(brain & (found.dseg == label), brain & (true == label)) > 0.88


def test_a_combined_image_alone_is_cleaned_too(scan):
    made, tissue, affine = scan
    found = mp2rage.alone(mp2rage.to_fraction(made.unit1), affine)
    assert dice(found.head, made.truth["head"] > 0.5) > 0.95
    assert found.noise is None
    air = ~masks.dilated(made.truth["head"] > 0.02, affine, 6.0)
    assert np.mean(found.image[air] > 0) < 0.02
    assert dice(brain_mask.brain_mask(found.weighted, affine), tissue["brain"] > 0.5) > 0.95


def test_air_that_the_scanner_masked(scan):
    made, _, affine = scan
    kept = made.truth["head"] > 0.02
    unit = mp2rage.to_fraction(np.where(kept, made.unit1, 0))
    inv1, inv2 = (np.where(kept, image, 0) for image in (made.inv1, made.inv2))
    found = mp2rage.with_inversions(unit, inv1, inv2, affine, regularisation=3.0)
    assert "masked" in found.how
    assert not found.image[~kept].any()
    assert dice(found.head, made.truth["head"] > 0.5) > 0.95


def test_the_sign_of_the_first_image_is_that_of_the_combined_one():
    first = np.array([-3.0, -0.4, 0.2, 5.0])
    second = np.array([2.0, 2.0, 2.0, 2.0])
    unit = first * second / (first**2 + second**2)
    found = mp2rage.first_signed(unit, np.abs(first), second)
    np.testing.assert_allclose(found, first, rtol=1e-6)


def test_both_ways_of_storing_are_read_and_others_refused():
    ramp = np.linspace(-0.5, 0.5, 64).reshape(4, 4, 4)
    np.testing.assert_allclose(mp2rage.to_fraction(ramp), ramp, atol=1e-6)
    np.testing.assert_allclose(mp2rage.to_fraction(4095 * (ramp + 0.5)), ramp, atol=1e-6)
    with pytest.raises(DataError, match=r"-500 to 500.*mp2rage.unit1_range"):
        mp2rage.to_fraction(1000 * ramp)
    found = mp2rage.to_fraction(1000 * ramp, (-500.0, 500.0))
    np.testing.assert_allclose(found, ramp, atol=1e-6)
    with pytest.raises(DataError, match="one value"):
        mp2rage.to_fraction(np.ones((3, 3, 3)))


def test_images_of_different_size_are_refused(scan):
    made, _, affine = scan
    unit = mp2rage.to_fraction(made.unit1)
    with pytest.raises(GridMismatchError, match="share a grid"):
        mp2rage.with_inversions(unit, made.inv1[1:], made.inv2, affine, regularisation=3.0)


def test_noise_alone_has_no_head():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (24, 24, 24))
    with pytest.raises(DataError, match="all of it is noise"):
        mp2rage.alone(noise, np.diag([3.0, 3.0, 3.0, 1.0]))
