"""T2* of a multi-echo gradient echo: known decay with noise, air, blocks without air, any scale."""

import numpy as np
import pytest

from mebold.errors import ConfigError, DataError, MetadataError
from mebold.multiecho import megre

TE = (0.004, 0.0085, 0.013, 0.0175, 0.022)


def ball(shape=(28, 28, 28), radius=10.0):
    grid = np.indices(shape) - (np.array(shape) / 2)[:, None, None, None]
    return np.sqrt((grid**2).sum(axis=0)) < radius


def echoes(t2star_s, s0=1.0, *, inside, sigma=0.0, seed=0, te=TE):
    rng = np.random.default_rng(seed)
    found = []
    for time in te:
        clean = np.where(inside, s0 * np.exp(-time / t2star_s), 0.0)
        noise = sigma * rng.standard_normal((2, *inside.shape))
        found.append(np.hypot(clean + noise[0], noise[1]))
    return found


def test_decay_without_noise_is_exact():
    inside = ball()
    t2star = np.linspace(0.008, 0.09, inside.size).reshape(inside.shape)
    found = megre.fit(echoes(t2star, 700.0, inside=inside), TE)
    core = ball(radius=8.0)
    np.testing.assert_allclose(found.t2star[core], t2star[core], rtol=1e-4)
    np.testing.assert_allclose(found.r2star[core], 1 / t2star[core], rtol=1e-4)
    np.testing.assert_allclose(found.s0[core], 700.0, rtol=1e-4)
    assert (found.n_echoes[core] == 5).all()
    assert not found.t2star[~ball(radius=12.0)].any()


@pytest.mark.parametrize(("t2star", "worst"), [(0.007, 0.01), (0.027, 0.01), (0.06, 0.02)])
def test_noise_does_not_bias_t2star(t2star, worst):
    """Of the shortest, the last echo has a signal-to-noise ratio of 2, where magnitudes lie."""
    inside = ball(radius=12.0)
    images = echoes(t2star, 1.0, inside=inside, sigma=0.02)
    found = megre.fit(images, TE)
    assert found.noise == pytest.approx(0.02, rel=0.1)
    core = ball(radius=10.0)
    assert np.median(found.t2star[core]) == pytest.approx(t2star, rel=worst)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_the_scale_of_the_images_does_not_matter(scale):
    inside = ball()
    images = echoes(0.03, 1.0, inside=inside, sigma=0.01)
    found, other = (megre.fit([k * image for image in images], TE) for k in (1.0, scale))
    np.testing.assert_allclose(found.t2star, other.t2star, rtol=1e-5)
    np.testing.assert_allclose(scale * found.s0, other.s0, rtol=1e-5)


def test_a_block_of_brain_has_no_air():
    """What is dark in it is signal: its level is not taken off."""
    shape = (24, 24, 24)
    inside = np.ones(shape, bool)
    s0 = np.where(np.indices(shape)[0] < 10, 0.25, 1.0)
    found = megre.fit(echoes(0.03, s0, inside=inside, sigma=0.005), TE)
    assert found.noise < 0.01
    assert np.median(found.t2star[found.t2star > 0]) == pytest.approx(0.03, rel=0.02)


def test_the_combined_image_weighs_echoes_by_their_use():
    inside = ball()
    images = echoes(0.03, 1.0, inside=inside)
    found = megre.fit(images, TE)
    te = np.array(TE)
    weights = te * np.exp(-te / 0.03)
    expected = (weights * np.exp(-te / 0.03)).sum() / weights.sum()
    np.testing.assert_allclose(found.combined[ball(radius=8.0)], expected, rtol=1e-4)


def test_what_cannot_be_fitted_is_refused():
    inside = ball()
    images = echoes(0.03, inside=inside)
    with pytest.raises(ConfigError, match="at least 3"):
        megre.fit(images[:2], TE[:2])
    with pytest.raises(MetadataError, match="seconds"):
        megre.fit(images, [1000 * te for te in TE])
    with pytest.raises(DataError):
        megre.fit([0.0 * image for image in images], TE)
