"""What N4 leaves of a bias, in heads whose tissue and bias are known."""

import numpy as np
import pytest
from scipy import ndimage

from mebold.anat import bias, evenness, mni
from mebold.errors import GridMismatchError
from mebold.geometry import affines, masks

VOXEL_MM = 2.0
# Fluid, grey and white matter in a T1w; noise in the same unit.
SIGNAL = (150.0, 500.0, 800.0)
NOISE = 20.0


@pytest.fixture(scope="module")
def brain():
    """Return a noisy brain without bias, whose rim is fluid and shares of voxels; mask, affine."""
    maps, affine = mni.load_template(VOXEL_MM)
    mask = maps["brain"] > 0.5
    shares = np.stack([1 - maps["gm"] - maps["wm"], maps["gm"], maps["wm"]])
    sharp = np.argmax(shares, axis=0)
    sharp = [ndimage.gaussian_filter((sharp == one).astype(float), 0.6) for one in range(3)]
    signal = mask * sum(value * part for value, part in zip(SIGNAL, sharp, strict=True))
    noise = NOISE * np.random.default_rng(4).normal(size=(2, *mask.shape))
    return np.hypot(signal + noise[0], noise[1]), mask, affine


def coils(mask, affine, power):
    """Return the sensitivity of eight loops around a head: no polynomial, steep at the rim."""
    points = affines.grid_points(mask.shape, affine)
    centre = points[mask.ravel()].mean(axis=0)
    found = np.zeros(len(points))
    for loop, angle in enumerate(np.arange(8) * np.pi / 4):
        place = centre + np.array([95 * np.cos(angle), 115 * np.sin(angle), 30 * (-1) ** loop])
        found += (1 + (np.linalg.norm(points - place, axis=1) / 50) ** 2) ** -1.5
    found = (found / found[mask.ravel()].mean()) ** power
    return found.reshape(mask.shape)


def left(before, after, field, mask):
    """Return the log of what is left of a field in a mask, without its median."""
    ratio = np.log(after[mask] / before[mask] * field[mask])
    return ratio - np.median(ratio)


def test_a_strong_bias_leaves_less_than_with_n4_alone(brain):
    volume, mask, affine = brain
    field = coils(mask, affine, power=2.5)
    inner = masks.dilated(mask, affine, -1.0)
    assert np.std(np.log(field[inner])) > 0.4
    seen = (volume * field).astype(np.float32)
    alone = left(seen, bias.bias_correct(seen, affine, mask), field, inner)
    both = left(seen, evenness.even_t1w(seen, affine, mask), field, inner)
    assert np.std(both) < 0.5 * np.std(alone)
    assert np.std(both) < 0.05


def test_the_rim_of_the_brain_is_even_where_only_its_inside_is_known(brain):
    volume, mask, affine = brain
    field = coils(mask, affine, power=4.0)
    inside = masks.dilated(mask, affine, -6.0)
    seen = (volume * field).astype(np.float32)
    kept = mask & (volume > 0.5 * SIGNAL[1])
    found = left(seen, evenness.even_t1w(seen, affine, inside), field, kept)
    alone = left(seen, bias.bias_correct(seen, affine, inside), field, kept)
    rim = ~inside[kept]
    assert np.std(found[rim]) < 0.4 * np.std(alone[rim])


def test_a_rim_that_is_half_fluid_is_not_taken_for_bias(brain):
    volume, mask, affine = brain
    found = np.log(evenness.tissue_bias(volume, affine, mask))
    rim = mask & ~masks.dilated(mask, affine, -4.0)
    deep = masks.dilated(mask, affine, -8.0)
    assert abs(np.median(found[rim]) - np.median(found[deep])) < 0.05
    assert np.std(found[mask]) < 0.05


def test_the_median_stays_and_no_corner_explodes(brain):
    volume, mask, affine = brain
    seen = volume * coils(mask, affine, power=1.0)
    even = evenness.even_t1w(seen, affine, mask)
    assert even.dtype == np.float32
    assert np.median(even[mask]) == pytest.approx(np.median(seen[mask]), rel=1e-3)
    level = evenness.tissue_bias(seen, affine, mask)
    assert level.min() > 0.5 * level[mask].min()
    assert level.max() < 2 * level[mask].max()


def test_the_size_of_voxels_and_the_order_of_axes_do_not_matter(brain):
    volume, mask, affine = brain
    seen = volume * coils(mask, affine, power=1.0)
    level = evenness.tissue_bias(seen, affine, mask)
    turn = np.eye(4)[:, [2, 0, 1, 3]]
    turned = evenness.tissue_bias(
        seen.transpose(2, 0, 1), affine @ turn, mask.transpose(2, 0, 1)
    ).transpose(1, 2, 0)
    np.testing.assert_allclose(turned[mask], level[mask], rtol=0.02)


def test_a_mask_of_another_grid_is_refused(brain):
    volume, mask, affine = brain
    with pytest.raises(GridMismatchError, match="mask has shape"):
        evenness.even_t1w(volume, affine, mask[1:])
