"""Held-out predictivity: how well a variant's betas foretell data that no variant has touched.

The betas of a variant predict those of one undenoised reference variant, in trials of the same
images in *other* runs. The test data are the same for all variants, and noise of different runs is
independent, so that smoothing, leakage between voxels, lost signal, and noise that repeats of a
variant share with each other cannot raise the result. A noise ceiling, which compares a variant
with itself, can rise with all of them.

What is wanted is the correlation T of single-trial betas b with the true response s to the image.
Let z be betas standardised within run, r the reference, and p(t) the mean of a variant's z over the
repeats of trial t's image in other runs. Noise of different runs being independent,

    cov(p, z_r) = T * sqrt(reliability of r),

because cov(b, s) / (sd(b) sd(s)) is T and the variant's betas have variance 1. The covariance of
standardised betas hence orders variants as T does, however many repeats are averaged: it is called
the predictivity of single trials. The correlation of p with z_r divides by the standard deviation
of p, sqrt(rel + (1 - rel) / k) for k repeats and a variant of reliability rel: averaging forgives
single-trial noise, more so the more repeats there are, and two variants can change places. It is
reported as well, for those who average.

Of the region the mean over its middle half is taken, between the quartiles of the voxels: as robust
as a median, steadier (on simulated sessions a difference between variants scatters by 0.007 instead
of 0.009), and a change of weights moves it by the mean change of those voxels. Resamples of a
median hold the noise of its voxels twice: intervals of differences were up to 1.8 times too wide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from mebold.noiseceiling.bootstrap import Resamples
from mebold.noiseceiling.ceilings import zscore_betas

#: The two metrics, see `mebold.compare.metrics.METRICS`.
NAMES = ("predictivity_single", "predictivity")
#: Voxels that are handled together.
_VOXELS = 512


@dataclass(frozen=True)
class Partners:
    """Trials with repeats in other runs.

    Attributes
    ----------
    trials : ndarray, (M,), int
        Those trials, in the order of the session.
    average : sparse matrix, (M, M)
        Row t averages the repeats of trial t's image in other runs, its partners.
    image, run : ndarray, (M,), int
        Image and run of each trial: positions among the sorted labels and runs of the session, as
        in `mebold.noiseceiling.bootstrap.Resamples`.
    """

    trials: np.ndarray
    average: sparse.csr_matrix
    image: np.ndarray
    run: np.ndarray

    @cached_property
    def role(self) -> np.ndarray:
        """Weight of each trial as a predictor, (M,): the sum of 1 / k over trials it predicts."""
        return np.asarray(self.average.sum(axis=0), np.float32).ravel()


def partners(labels: np.ndarray, runs: np.ndarray) -> Partners | None:
    """Find the trials whose image is shown in another run as well.

    Parameters
    ----------
    labels, runs : array_like, (N,)
        Image and run of each trial.

    Returns
    -------
    Partners or None
        None where no image is shown in two runs.
    """
    image = np.unique(np.asarray(labels), return_inverse=True)[1]
    run = np.unique(np.asarray(runs), return_inverse=True)[1]
    order = np.argsort(image, kind="stable")
    rows, columns = [], []
    for trials in np.split(order, np.flatnonzero(np.diff(image[order])) + 1):
        a, b = np.nonzero(run[trials][:, None] != run[trials][None])
        rows.append(trials[a])
        columns.append(trials[b])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    if rows.size == 0:
        return None
    used = np.unique(rows)
    count = np.bincount(rows, minlength=image.size)
    place = np.searchsorted(used, rows), np.searchsorted(used, columns)
    share = (1 / count[rows]).astype(np.float32)
    average = sparse.csr_matrix((share, place), (used.size, used.size))
    return Partners(used, average, image[used], run[used])


class Reference:
    """The undenoised betas that all variants predict.

    Parameters
    ----------
    blocks : iterable of ndarray, (v, N)
        Betas of the reference variant, one part of the region's voxels after the other; finite, and
        varying in every run.
    runs : array_like, (N,)
    found : Partners
        From :func:`partners` with the same runs.
    """

    def __init__(self, blocks: Iterable[np.ndarray], runs: np.ndarray, found: Partners) -> None:
        self.partners, self.runs = found, np.asarray(runs)
        parts = [(self.standard(betas), _centred(betas, self.runs).std(axis=1)) for betas in blocks]
        parts.insert(0, (np.zeros((0, len(found.trials)), np.float32), np.zeros(0)))
        self.z, scale = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        self.scale = np.where(scale > 0, scale, 1)

    def standard(self, betas: np.ndarray) -> np.ndarray:
        """Standardise the betas (v, N) within run, and keep the trials with partners (v, M)."""
        return zscore_betas(betas, self.runs)[:, self.partners.trials].astype(np.float32)

    def in_units(self, betas: np.ndarray, voxels: slice) -> np.ndarray:
        """Centre betas (v, N) within run, in standard deviations of the reference, (v, M)."""
        centred = _centred(betas, self.runs)[:, self.partners.trials]
        return (centred / self.scale[voxels, None]).astype(np.float32)


def _centred(betas: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Subtract the mean of every run."""
    centred = np.array(betas, np.float32)
    for run in np.unique(runs):
        inside = runs == run
        centred[:, inside] -= centred[:, inside].mean(axis=1, keepdims=True, dtype=np.float64)
    return centred


@dataclass(frozen=True)
class _Held:
    """Trials of the reference and what they say about their partners, a part of the voxels.

    Attributes
    ----------
    found : Partners
    target : ndarray, (v, M)
        Reference, less its mean over trials.
    total : ndarray, (v, R)
        Sum of the reference over the trials of each run, not centred.
    asked : ndarray, (v, M)
        Sum over the partners of a trial of what they are as targets, over their k.
    by_run : sparse matrix, (R, M)
        Sums trials by run.
    """

    found: Partners
    target: np.ndarray
    total: np.ndarray
    asked: np.ndarray
    by_run: sparse.csr_matrix

    @classmethod
    def of(cls, target: np.ndarray, found: Partners, by_run: sparse.csr_matrix) -> _Held:
        """Prepare the trials of the reference, (v, M)."""
        centred = target - target.mean(axis=1, keepdims=True)
        asked = (found.average.T @ centred.T).T
        return cls(found, centred, (by_run @ target.T).T, asked, by_run)

    def covariance(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Compare trials with the mean of their partners in a variant, without bias.

        The product of the two means is taken over trials of different runs, as all else is: trials
        of one run share noise.

        Parameters
        ----------
        own : ndarray, (v, M)
            Trials of the variant.

        Returns
        -------
        covariance : ndarray, (v,)
        predicted : ndarray, (v, M)
            Mean of the partners of each trial, less the mean over trials.
        targets, predictors : ndarray, (v, M)
            By how much the covariance changes with the weight of each trial, as a target of its
            partners and as a predictor of them.
        """
        n, role = len(self.found.trials), self.found.role
        mean = own @ role / n
        predicted = (self.found.average @ own.T).T - mean[:, None]
        other = (self.by_run @ (own * role).T).T
        sizes, roles = self.by_run @ np.ones(n), self.by_run @ role
        products = self.target * predicted
        same = np.einsum("vr,vr->v", self.total, other)
        # The centred mean product already lacks the product of means over all pairs.
        means = self.total.sum(1) * other.sum(1)
        apart = (means - same) / (n * n - sizes @ roles)
        value = products.mean(axis=1) + means / (n * n) - apart
        targets = products - value[:, None]
        predictors = (own - mean[:, None]) * self.asked - value[:, None] * role
        return value, predicted, targets / n, predictors / n


@dataclass(frozen=True)
class Amplitude:
    """Covariance of a variant's betas with the reference in other runs, summed over the region.

    Unlike the predictivity it is in units of the betas (standard deviations of the reference), so
    that the ratio of two variants is the share of the response to images that one keeps of the
    other. Noise of different runs is independent and cannot bias it.

    Attributes
    ----------
    value : float
    samples : dict of str to ndarray (B,)
        Method ("images", "runs") -> values in the resamples.
    """

    value: float
    samples: dict[str, np.ndarray]


class Predictivity:
    """Predictivity of one variant in the region, collected over chunks of voxels.

    Resamples follow from derivatives by the weights of images and runs (as in the infinitesimal
    jackknife), so that a thousand of them are one product of a matrix and a vector. Two trials of
    one image weigh what the image weighs, or what their two runs weigh together.

    Parameters
    ----------
    reference : Reference
    n_voxels : int
        Voxels of the region.
    """

    def __init__(self, reference: Reference, n_voxels: int) -> None:
        self._reference, self._filled = reference, 0
        found = reference.partners
        self._images, image = np.unique(found.image, return_inverse=True)
        n = len(found.trials)
        one_each = np.ones(n, np.float32)
        # Sums of trials by image and by run.
        self._sums = {
            "images": sparse.csr_matrix((one_each, (image, np.arange(n)))),
            "runs": sparse.csr_matrix((one_each, (found.run, np.arange(n)))),
        }
        self._values = {name: np.zeros(n_voxels) for name in NAMES}
        self._slopes = {
            (name, method): np.zeros((sums.shape[0], n_voxels), np.float32)
            for name in NAMES
            for method, sums in self._sums.items()
        }
        self._amplitude = 0.0
        self._amplitude_slopes = {m: np.zeros(s.shape[0]) for m, s in self._sums.items()}

    def add(self, betas: np.ndarray) -> None:
        """Add the next voxels of the region, betas (v, N) of all trials in percent."""
        for start in range(0, len(betas), _VOXELS):
            self._add(betas[start : start + _VOXELS])

    def _add(self, betas: np.ndarray) -> None:
        reference = self._reference
        part = slice(self._filled, self._filled + len(betas))
        self._filled = part.stop
        held = _Held.of(reference.z[part], reference.partners, self._sums["runs"])
        shared, predicted, *parts = held.covariance(reference.standard(betas))
        self._store("predictivity_single", part, shared, *parts)
        self._store("predictivity", part, *_correlation(held, shared, predicted, *parts))
        shared, _, *parts = held.covariance(reference.in_units(betas, part))
        self._amplitude += float(shared.sum())
        for method, slope in self._by_unit(*parts).items():
            self._amplitude_slopes[method] += slope.sum(axis=1)

    def _by_unit(self, targets: np.ndarray, predictors: np.ndarray) -> dict[str, np.ndarray]:
        """Sum the parts of trials, as targets and as predictors, by image and by run, (U, V)."""
        # An image weighs its pairs once; two runs weigh theirs together.
        return {
            "images": self._sums["images"] @ targets.T,
            "runs": self._sums["runs"] @ (targets + predictors).T,
        }

    def _store(self, name: str, part: slice, values: np.ndarray, *parts: np.ndarray) -> None:
        """Keep values and their derivatives by the weights of images and runs."""
        self._values[name][part] = values
        for method, slope in self._by_unit(*parts).items():
            self._slopes[name, method][:, part] = slope

    def values(self) -> dict[str, float]:
        """Return the means over the middle half of the region; NaN without voxels."""
        return {
            name: float(values[_middle(values)].mean()) if values.size else float("nan")
            for name, values in self._values.items()
        }

    def samples(self, resamples: Resamples) -> dict[str, dict[str, np.ndarray]]:
        """Return these values in resamples: method -> metric -> (B,); none without voxels."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for method, weights in self._weights(resamples).items():
            found[method] = {}
            for name, values in self._values.items():
                if values.size:
                    middle = _middle(values)
                    slope = self._slopes[name, method][:, middle].mean(axis=1, dtype=np.float64)
                    found[method][name] = values[middle].mean() + (weights - 1) @ slope
        return found

    def amplitude(self, resamples: Resamples) -> Amplitude:
        """Return the amplitude along the reference's responses, see `Amplitude`."""
        samples = {
            method: self._amplitude + (weights - 1) @ self._amplitude_slopes[method]
            for method, weights in self._weights(resamples).items()
        }
        return Amplitude(float(self._amplitude), samples)

    def _weights(self, resamples: Resamples) -> dict[str, np.ndarray]:
        """Return the weights of the units that have partners."""
        known = {"images": resamples.images, "runs": resamples.runs}
        if known["images"] is not None:
            known["images"] = known["images"][:, self._images]
        if known["runs"] is not None:
            known["runs"] = known["runs"][:, : self._sums["runs"].shape[0]]
        return {method: weights for method, weights in known.items() if weights is not None}


def _middle(values: np.ndarray) -> np.ndarray:
    """Mark the middle half of the voxels, from the first to the third quartile."""
    low, high = np.quantile(values, [0.25, 0.75])
    return (values >= low) & (values <= high)


def _correlation(
    held: _Held,
    shared: np.ndarray,
    predicted: np.ndarray,
    targets: np.ndarray,
    predictors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide a covariance and its parts by the deviations of target and prediction."""
    n = predicted.shape[1]
    units, scale = np.zeros_like(predicted), np.ones_like(shared)
    for centred in (held.target, predicted):
        variance = np.einsum("vm,vm->v", centred, centred) / n
        variance = np.where(variance > 0, variance, 1)
        scale *= np.sqrt(variance)
        units += centred**2 / variance[:, None]
    values = shared / scale
    # Both variances change with the weights as well.
    excess = values[:, None] / 2 * (units - 2) / n
    targets = targets / scale[:, None] - excess
    predictors = predictors / scale[:, None] - (held.found.average.T @ excess.T).T
    return values, targets, predictors
