"""Shares of tissue within voxels, on folds thinner than a voxel."""

import numpy as np
import pytest

from mebold.anat import partial_volume

VOXEL_MM, FINE = 2.0, 4
AFFINE = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
NAMES = ("GM", "WM", "CSF")
INTENSITY = {"GM": 640.0, "WM": 1130.0, "CSF": 230.0}


@pytest.fixture(scope="module")
def folded():
    """A ball whose ribbon of cortex is folded, with fluid in sulci of 2 mm and in a ventricle."""
    n = 44
    x = (np.indices((n * FINE,) * 3, dtype=np.float32) + 0.5) * VOXEL_MM / FINE - n * VOXEL_MM / 2
    radius = np.sqrt((x**2).sum(axis=0))
    folds = np.sin(x[0] / 2.1) + np.sin(x[1] / 2.4) + np.sin(x[2] / 2.2)
    white = (radius < 28 + 2.5 * folds) & (radius > 10)
    inside = radius < 36
    fluid = (radius <= 9) | (inside & (radius > 33 + 2.5 * folds))
    fine = {"WM": white & ~fluid, "CSF": fluid}
    fine["GM"] = inside & ~fine["WM"] & ~fluid
    parts = {
        name: part.reshape(n, FINE, n, FINE, n, FINE).mean(axis=(1, 3, 5))
        for name, part in fine.items()
    }
    return parts, sum(parts.values()) > 0.999


def scanned(parts, sd, seed=0):
    signal = sum(INTENSITY[name] * part for name, part in parts.items())
    noise = sd * np.random.default_rng(seed).normal(size=(2, *signal.shape))
    return np.hypot(signal + noise[0], noise[1]).astype(np.float32)


def classes_of(image, mask, limits=(520.0, 900.0)):
    """Classes with too much fluid, as Gaussians of different width find them."""
    fluid, white = mask & (image < limits[0]), mask & (image > limits[1])
    return {"CSF": fluid, "WM": white, "GM": mask & ~fluid & ~white}


@pytest.mark.parametrize("sd", [15.0, 40.0, 70.0])
def test_volumes_are_right_where_the_classes_are_not(folded, sd):
    parts, mask = folded
    image = scanned(parts, sd)
    classes = classes_of(image, mask)
    pure = partial_volume.pure_intensities(image, AFFINE, classes)
    for name in NAMES:
        assert pure[name][0] == pytest.approx(INTENSITY[name], abs=25)
    found = partial_volume.shares(image, mask, pure)
    np.testing.assert_allclose(found.sum(axis=0)[mask], 1, atol=1e-5)
    assert not found[:, ~mask].any()
    true = np.stack([parts[name] * mask for name in NAMES])
    labels, best = (np.where(mask, np.argmax(one, axis=0), -1) for one in (found, true))
    assert classes["CSF"].sum() > 1.12 * np.sum(best == 2)
    for index in range(3):
        assert found[index].sum() == pytest.approx(true[index].sum(), rel=0.05)
        assert np.sum(labels == index) == pytest.approx(np.sum(best == index), rel=0.05)
    error = np.sqrt(np.mean((found - true)[:, mask] ** 2))
    assert error < 0.05 + 0.0015 * sd


def test_neighbours_keep_noise_out_of_the_inside(folded, monkeypatch):
    parts, mask = folded
    image = scanned(parts, 130.0)
    pure = partial_volume.pure_intensities(image, AFFINE, classes_of(image, mask))
    inside = parts["WM"] > 0.99
    missed = np.mean(partial_volume.shares(image, mask, pure)[1][inside] < 0.5)
    monkeypatch.setattr(partial_volume, "_LOCAL_STEPS", 0)
    alone = np.mean(partial_volume.shares(image, mask, pure)[1][inside] < 0.5)
    assert alone > 0.02
    assert missed < 0.6 * alone


def test_deep_grey_matter_counts_as_grey(folded):
    parts, mask = folded
    image = scanned(parts, 30.0)
    pure = partial_volume.pure_intensities(image, AFFINE, classes_of(image, mask))
    known = np.zeros(mask.shape, dtype=np.float32)
    known[parts["WM"] > 0.99] = 0.75
    found = partial_volume.shares(image, mask, pure, known_grey=known)
    assert found[0][known > 0].min() > 0.749
    np.testing.assert_allclose(found.sum(axis=0)[mask], 1, atol=1e-5)


def test_fluid_without_an_inside_is_its_darkest_part(folded):
    parts, mask = folded
    image = scanned(parts, 30.0)
    classes = classes_of(image, mask)
    middle = np.indices(mask.shape).sum(axis=0) % 2 == 0
    thin = classes | {"CSF": classes["CSF"] & middle}
    pure = partial_volume.pure_intensities(image, AFFINE, thin)
    assert pure["CSF"][0] == pytest.approx(INTENSITY["CSF"], abs=60)


def test_classes_that_are_no_tissue_have_no_pure_intensities(folded):
    parts, mask = folded
    image = scanned(parts, 30.0)
    classes = classes_of(image, mask)
    turned = {"CSF": classes["WM"], "GM": classes["GM"], "WM": classes["CSF"]}
    assert partial_volume.pure_intensities(image, AFFINE, turned) is None
    empty = classes | {"CSF": np.zeros_like(mask)}
    assert partial_volume.pure_intensities(image, AFFINE, empty) is None


def test_a_contrast_that_changes_from_place_to_place_is_made_the_same():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    along, across = np.indices((70, 40, 24))[:2]
    layer = across % 10
    classes = {"CSF": layer == 0, "GM": (layer > 0) & (layer < 5), "WM": layer >= 5}
    # Grey matter loses a sixth of its signal along 140 mm, white matter nothing.
    grey = INTENSITY["GM"] * (1.08 - 0.16 * along / 69)
    clean = INTENSITY["CSF"] * classes["CSF"] + grey * classes["GM"]
    clean = clean + INTENSITY["WM"] * classes["WM"]
    image = clean + 15 * np.random.default_rng(2).normal(size=clean.shape)
    pure = partial_volume.pure_intensities(image, affine, classes)
    same = partial_volume.same_contrast(image, affine, classes, pure)
    ends = [classes["GM"] & part for part in (along < 12, along > 57)]
    before, after = ([np.median(one[end]) for end in ends] for one in (image, same))
    assert before[0] - before[1] > 0.12 * INTENSITY["GM"]
    assert abs(after[0] - after[1]) < 0.4 * (before[0] - before[1])
    assert np.median(same[classes["WM"]]) == pytest.approx(INTENSITY["WM"], rel=0.01)
    narrower = partial_volume.pure_intensities(same, affine, classes)
    assert narrower["GM"][1] < 0.75 * pure["GM"][1]
