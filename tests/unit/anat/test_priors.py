"""Tissue priors: deep grey matter stays grey, and a template that does not fit is not used."""

import numpy as np
import pytest
from scipy import ndimage

from mebold.anat import bias, mni, priors, tissue
from mebold.geometry import affines
from mebold.phantom import anatomy, contrast, nuclei, spec

SETTINGS = {"priors": True, "registration_mm": 6.0}
LIMITS = {"least_correlation": 0.7, "least_dice": 0.93}


@pytest.fixture(scope="module")
def head():
    """The phantom's T1w without its bias: image, affine, tissue and brain."""
    parameters = spec.make_spec("tiny")
    found = anatomy.make_head(parameters, "01")
    shape, affine = anatomy.centred_grid(found.centre, 3.0, np.array(parameters.t1w_fov_mm))
    parts = anatomy.voxel_tissue(found, shape, affine)
    offset = affines.grid_points(shape, affine) - found.centre
    efficiency = contrast.inversion_efficiency(parameters, offset).reshape(shape)
    noise = 0.03 * np.random.default_rng(1).normal(size=shape)
    image = 1000 * np.abs(contrast.t1w_image(parameters, parts, efficiency) + noise)
    brain = parts["brain"] > 0.5
    return bias.bias_correct(image, affine, brain), affine, parts, brain


@pytest.fixture(scope="module")
def expected(head):
    image, affine, _, brain = head
    return priors.expected(image, affine, brain, SETTINGS, limits=LIMITS, seed=1)


def test_maps_of_the_template_add_up_and_the_nuclei_are_symmetric():
    maps, affine = priors.template_maps(2.0)
    brain = mni.load_template(2.0)[0]["brain"] > 0.5
    np.testing.assert_allclose(maps.sum(axis=0)[brain], 1, atol=2e-3)
    deep = maps[3]
    assert 40 < deep.sum() * 0.008 < 80  # thalami and basal ganglia: about 55 ml
    at = affines.apply(np.linalg.inv(affine), np.array([[-11, -19, 8], [11, -19, 8]]))
    assert ndimage.map_coordinates(deep, at.T, order=1).min() > 0.8
    far = affines.apply(np.linalg.inv(affine), np.array([[0, 30, 4], [40, -60, 30]]))
    assert ndimage.map_coordinates(deep, far.T, order=1).max() < 0.01


def test_deep_grey_matter_is_grey_with_priors_and_white_without(head, expected):
    image, affine, parts, brain = head
    assert expected.refused == ""
    assert expected.quality["mask_dice"] > 0.95
    options = {"prior_weight": 0.25}
    found = tissue.classify(image, affine, brain, priors=expected.maps, **options)
    plain = tissue.classify(image, affine, brain, priors=None, **options)
    assert (found.method, plain.method) == ("priors", "k-means")
    deep = sum(parts[name] for name in nuclei.NAMES if name != "pallidum") > 0.7
    assert np.mean(found.dseg[deep] == 2) < 0.05
    assert np.mean(plain.dseg[deep] == 2) > 0.2
    np.testing.assert_allclose(found.probseg.sum(axis=0)[brain], 1, atol=1e-4)
    true = np.argmax(np.stack([parts["gm"], parts["wm"], parts["csf"]]), axis=0) + 1
    # Voxels of 3 mm have hardly a sulcus to themselves.
    for label, least, most in ((1, 0.93, 0.05), (2, 0.93, 0.05), (3, 0.75, 0.1)):
        a, b = (brain & (x == label) for x in (found.dseg, true))
        assert 2 * np.sum(a & b) / (a.sum() + b.sum()) > least
        assert a.sum() == pytest.approx(b.sum(), rel=most)


def test_a_head_unlike_the_template_gets_none(head, monkeypatch):
    image, affine, _, brain = head
    poor = priors.Priors(np.ones((4, 2, 2, 2)), {"correlation": 0.4, "mask_dice": 0.98})
    monkeypatch.setattr(priors, "on_image", lambda *_, **__: poor)
    found = priors.expected(image, affine, brain, SETTINGS, limits=LIMITS, seed=1)
    assert found.maps is None
    assert "correlation of T1w and template in the brain is 0.40" in found.refused

    def failing(*_, **__):
        raise RuntimeError("ITK gave up")

    monkeypatch.setattr(priors, "on_image", failing)
    found = priors.expected(image, affine, brain, SETTINGS, limits=LIMITS, seed=1)
    assert found.refused == "the alignment with the template failed: ITK gave up"


def test_priors_may_be_switched_off(head):
    image, affine, _, brain = head
    found = priors.expected(image, affine, brain, {"priors": False}, limits=LIMITS, seed=1)
    assert (found.maps, found.refused) == (None, "`anat.priors` is false")


@pytest.mark.parametrize("defect", ["raises", "empty"])
def test_classes_that_fail_fall_back_to_k_means(head, expected, monkeypatch, defect):
    image, affine, _, brain = head
    maps = expected.maps.copy()
    if defect == "raises":
        whole = tissue._atropos

        def failing(*arguments, start, **options):
            if start == "Kmeans[3]":
                return whole(*arguments, start=start, **options)
            raise RuntimeError("Atropos exited with non-zero status 1")

        monkeypatch.setattr(tissue, "_atropos", failing)
    else:
        maps[1:] = 0
        maps[0] = 1
    found = tissue.classify(image, affine, brain, priors=maps, prior_weight=0.25)
    assert found.method == "k-means"
    assert found.reason.startswith("Atropos with priors failed")
    assert set(np.unique(found.dseg)) == {0, 1, 2, 3}
