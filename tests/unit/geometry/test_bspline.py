"""Spline coefficients and interpolation against scipy."""

import numba
import numpy as np
import pytest
from scipy import ndimage

from mebold.geometry import bspline, jit
from mebold.geometry.bspline import RIM


def interior(coefficients):
    return coefficients[RIM:-RIM, RIM:-RIM, RIM:-RIM]


@pytest.mark.parametrize("shape", [(9, 7, 5), (30, 25, 41), (2, 1, 6), (3, 40, 2)])
def test_coefficients_equal_scipy_with_mirror_boundary(rng, shape):
    volume = rng.normal(1000, 200, shape)
    expected = volume
    for axis in range(3):
        if shape[axis] > 1:
            expected = ndimage.spline_filter1d(expected, 3, axis=axis, mode="mirror")
    result = bspline.coefficients(volume)
    np.testing.assert_allclose(interior(result), expected, atol=5e-3)


def test_rim_mirrors_the_coefficients(rng):
    result = bspline.coefficients(rng.normal(size=(6, 7, 8)))
    expected = np.pad(interior(result), RIM, mode="reflect")
    np.testing.assert_array_equal(result, expected)


def test_memory_layout_and_type_do_not_matter(rng):
    volume = rng.integers(0, 4000, (11, 9, 10)).astype(np.int16)
    expected = bspline.coefficients(volume)
    frozen = np.asfortranarray(volume.astype(np.float32))
    frozen.flags.writeable = False
    np.testing.assert_array_equal(bspline.coefficients(frozen), expected)
    strided = np.zeros((22, 9, 20), np.float32)[::2, :, ::2]
    strided[...] = volume
    np.testing.assert_array_equal(bspline.coefficients(strided), expected)


def test_smoothing_equals_scipy_gaussian(rng):
    volume = rng.normal(100, 20, (20, 18, 22))
    fwhm = (1.7, 2.5, 1.2)
    expected = volume
    for axis, width in enumerate(fwhm):
        sigma = width / bspline.FWHM_PER_SIGMA
        radius = len(bspline.gaussian_taps(width)) - 1
        expected = ndimage.gaussian_filter1d(
            expected, sigma, axis=axis, mode="mirror", radius=radius
        )
    result = bspline.coefficients(volume, fwhm_voxels=fwhm, order=1)
    np.testing.assert_allclose(interior(result), expected, rtol=1e-5)


def test_non_finite_voxels_count_as_zero(rng):
    volume = rng.normal(100, 20, (8, 8, 8))
    volume[4, 4, 4] = 0.0
    broken = volume.copy()
    broken[4, 4, 4] = np.nan
    np.testing.assert_array_equal(bspline.coefficients(broken), bspline.coefficients(volume))


def test_input_is_not_modified(rng):
    volume = rng.normal(size=(6, 6, 6)).astype(np.float32)
    copy = volume.copy()
    bspline.coefficients(volume, fwhm_voxels=(2.0, 2.0, 2.0))
    np.testing.assert_array_equal(volume, copy)


def test_kernels_work_where_nothing_can_be_cached(monkeypatch):
    compile_function = numba.njit

    def refuse_cache(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_function(**options)

    monkeypatch.setattr(numba, "njit", refuse_cache)

    def double(x):
        return 2 * x

    assert jit.kernel(double)(21) == 42
