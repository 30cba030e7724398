"""Threshold between voxels without and with response."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from mebold.singletrial.threshold import fit_two_normals, mixture_threshold, robust_range


def test_two_normals_are_recovered(rng):
    values = np.r_[rng.normal(0, 1, 30_000), rng.normal(6, 2, 10_000)]
    weights, means, deviations = fit_two_normals(values)
    assert np.allclose(weights, [0.75, 0.25], atol=0.01)
    assert np.allclose(means, [0, 6], atol=0.08)
    assert np.allclose(deviations, [1, 2], atol=0.05)
    # Equal posterior: 0.75 N(x; 0, 1) = 0.25 N(x; 6, 2) at x = 2.558.
    assert mixture_threshold(values) == pytest.approx(2.558, abs=0.08)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(6))
def test_mixture_of_few_values_ends_where_the_reference_ends(seed):
    # A few far values give k-means several places to rest, and each start its own mixture.
    random = np.random.default_rng(seed)
    far = np.where(random.random(150) < 0.05, random.exponential(5, 150), 0)
    values = 0.6 * random.standard_normal(150) ** 2 + far
    expected = GaussianMixture(2, tol=1e-10, reg_covar=0, n_init=3, random_state=seed)
    order = np.argsort(expected.fit(values[:, None]).means_.ravel())
    weights, means, deviations = fit_two_normals(values, seed=seed)
    assert np.allclose(means, expected.means_.ravel()[order], rtol=1e-6)
    assert np.allclose(weights, expected.weights_[order], rtol=1e-6)
    assert np.allclose(deviations**2, expected.covariances_.ravel()[order], rtol=1e-5)


def test_threshold_ignores_values_that_are_not_finite_and_survives_constants(rng):
    values = np.r_[rng.normal(0, 1, 500), rng.normal(9, 1, 500)]
    with_gaps = np.r_[values, np.nan, np.inf]
    assert mixture_threshold(with_gaps) == mixture_threshold(values)
    assert mixture_threshold(np.full(7, 2.5)) == 2.5
    assert mixture_threshold(np.full(7, np.nan)) == 0


def test_robust_range_drops_outliers_only(rng):
    values = rng.uniform(0, 10, 10_000)
    assert robust_range(values) == (values.min(), values.max())
    low, high = robust_range(np.r_[values, 1e6, -1e6])
    assert (low, high) == (values.min(), values.max())
