"""What can survive NORDIC: the weakest response that its threshold lets through.

A patch of M voxels and N volumes, divided by the noise map, is a strong signal of low rank plus
noise of one variance v. A response adds a component of singular value s; in the noise it appears
with ``y = sqrt((s^2 + v M) (s^2 + v N)) / s``, and is removed as a whole where y stays below the
threshold. Where it is kept, the noise has turned its vectors, and of its amplitude the share
``1 - v^2 M N / s^4`` is left (the product of y / s and both cosines). Below ``s^4 = v^2 M N``
no method that looks at one patch can tell it from noise.

Three kinds of response, as single-trial fits have them:

* *shared*: all trials evoke the same pattern, one component whose time course is the sum of all
  trials' regressors. The mean signal of the patch is a component that always stays, and takes along
  the part of the pattern that looks like it: of the share f of responding voxels, 1 - f is left to
  survive by itself, hence ``s^2 = a^2 f (1 - f) sum(S^2 / g^2) E``.
* *of images*: what differs between trials, independent between voxels. Its energy spreads over as
  many components as the trials' regressors have, each of which has to survive.
* *along one dimension*: differences between trials that are one pattern, more or less of it (faces
  against all else). All their energy is in one component. Real differences lie between these two.

References
----------
Benaych-Georges and Nadakuditi 2012, J Multivar Anal 111:120, doi 10.1016/j.jmva.2012.04.019
(singular values and vectors of low rank plus noise).
Moeller et al. 2021, NeuroImage 226:117539, doi 10.1016/j.neuroimage.2020.117539 (threshold).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic.patches import Axis, box_sums, patch_axes, spread
from mebold.nordic.rank import Rule

#: Amplitudes that are tried, percent; the last stands for "nothing weaker survives".
AMPLITUDES = np.geomspace(0.01, 100, 97)


def observed_singular_value(
    singular: np.ndarray, *, rows: np.ndarray, columns: int, variance: np.ndarray
) -> np.ndarray:
    """Singular value with which a component appears in noise.

    Parameters
    ----------
    singular : array
        Of the component alone.
    rows, columns : array or int
        Voxels and volumes of the patch.
    variance : array
        Noise per matrix element, of real and imaginary part together.

    Returns
    -------
    observed : array
        The edge of the noise for components that cannot be told from it.
    """
    power = np.maximum(np.square(singular), critical_power(rows, columns, variance))
    power = np.maximum(power, np.finfo(float).tiny)  # a patch without voxels has no noise either
    return np.sqrt((power + variance * rows) * (power + variance * columns) / power)


def critical_power(rows: np.ndarray, columns: int, variance: np.ndarray) -> np.ndarray:
    """Squared singular value below which a component cannot be told from noise."""
    return variance * np.sqrt(np.asarray(rows, dtype=float) * columns)


def share_kept(
    singular: np.ndarray,
    *,
    rows: np.ndarray,
    columns: int,
    variance: np.ndarray,
    threshold: np.ndarray,
) -> np.ndarray:
    """Share of a component's amplitude that is left of it after the threshold.

    Parameters
    ----------
    singular, rows, columns, variance
        See `observed_singular_value`.
    threshold : array
        On singular values.

    Returns
    -------
    share : array
        0 to 1.
    """
    critical = critical_power(rows, columns, variance)
    power = np.maximum(np.maximum(np.square(singular), critical), np.finfo(float).tiny)
    seen = observed_singular_value(singular, rows=rows, columns=columns, variance=variance)
    clear = (np.square(singular) > critical) & (seen >= threshold)
    return np.where(clear, 1 - (critical / power) ** 2, 0.0)


def together(*shares: np.ndarray) -> np.ndarray:
    """Share of a response that is kept where each of several ways keeps a share by itself.

    Besides surviving by itself a response is kept by the mean signal, as far as its pattern is that
    of the mean signal, and by all other components that stay (drifts, motion, noise above the
    threshold), as far as its time course is theirs: about their number over that of volumes. What
    is kept in these ways is kept at other places and together with noise.
    """
    return 1 - np.prod([1 - np.asarray(share) for share in shares], axis=0)


@dataclass(frozen=True)
class Design:
    """Energy over time of a run's responses at 1 unit of amplitude.

    Attributes
    ----------
    shared : float
        Sum of squares of the sum of all trials' regressors, without its mean.
    images : (k,) array
        The same for each component of what differs between trials, descending.
    """

    shared: float
    images: np.ndarray


def design_energy(regressors: np.ndarray) -> Design:
    """Take the energies of a run's design from the regressors of its trials.

    Parameters
    ----------
    regressors : (trials, volumes) array
        Response to every trial, peak 1, without noise volumes.

    Returns
    -------
    Design

    Raises
    ------
    DataError
        With fewer than two trials, or trials without any effect on the volumes.
    """
    regressors = np.asarray(regressors, dtype=np.float64)
    if regressors.ndim != 2 or len(regressors) < 2:
        raise DataError(
            f"Regressors of shape {regressors.shape}; needed are two or more trials, a row each."
        )
    regressors = regressors - regressors.mean(axis=1, keepdims=True)
    different = regressors - regressors.mean(axis=0)
    energy = np.linalg.eigvalsh(different @ different.T)[::-1]
    energy = energy[energy > 1e-9 * max(energy[0], 0)]
    if not energy.size:
        raise DataError("The trials of this run have no effect on its volumes.")
    return Design(float(np.square(regressors.sum(axis=0)).sum()), energy)


@dataclass(frozen=True)
class Patches:
    """What the patches of a run let through.

    Attributes
    ----------
    axes : tuple of Axis
    columns : int
        Volumes, noise volumes included.
    rows : (patches x, patches y, patches z) int array
        Voxels that are not empty.
    power : array of the same shape
        Sum over voxels of the squared mean signal, in units of the noise map.
    variance, threshold : arrays of the same shape
        Noise per matrix element, and the threshold on singular values.
    responding : array of the same shape
        Share of that power which lies in responding voxels.
    """

    axes: tuple[Axis, Axis, Axis]
    columns: int
    rows: np.ndarray
    power: np.ndarray
    variance: np.ndarray
    threshold: np.ndarray
    responding: np.ndarray

    def _kept(self, power: np.ndarray) -> np.ndarray:
        return share_kept(
            np.sqrt(power),
            rows=self.rows,
            columns=self.columns,
            variance=self.variance,
            threshold=self.threshold,
        )

    def shared_kept(self, percent: float, design: Design) -> np.ndarray:
        """Share of a shared response that survives by itself, per voxel: (x, y, z).

        Parameters
        ----------
        percent : float
            Amplitude, percent of the mean signal.
        design : Design
        """
        outside = self.responding * (1 - self.responding)
        power = (percent / 100) ** 2 * outside * self.power * design.shared
        return spread(self._kept(power), self.axes)

    def images_kept(self, percent: float, design: Design) -> np.ndarray:
        """Share of the differences between images that survives, per voxel: (x, y, z).

        Parameters
        ----------
        percent : float
            Standard deviation over trials, percent of the mean signal.
        design : Design
        """
        single = (percent / 100) ** 2 * self.responding * self.power
        kept = np.zeros(self.power.shape)
        for energy in design.images:
            share = self._kept(single * energy)
            if not share.any():
                break  # the components that follow are weaker
            kept += energy * share
        return spread(kept / design.images.sum(), self.axes)

    def dimension_kept(self, percent: float, design: Design) -> np.ndarray:
        """Share of differences between trials along one dimension that survives, per voxel.

        Parameters and result are those of `images_kept`.
        """
        power = (percent / 100) ** 2 * self.responding * self.power * design.images.sum()
        return spread(self._kept(power), self.axes)

    def weakest(self, design: Design, *, kind: str, kept: float) -> np.ndarray:
        """Amplitude from which on a share of a response survives.

        Parameters
        ----------
        design : Design
        kind : {"shared", "images", "dimension"}
        kept : float
            Share of the amplitude, mean over the patches of a voxel.

        Returns
        -------
        percent : (x, y, z) float32
            100 where nothing weaker survives; NaN where no patch lies.
        """
        share_at = getattr(self, f"{kind}_kept")
        before = np.zeros([axis.size for axis in self.axes])
        weakest = np.full(before.shape, AMPLITUDES[-1])
        open_ = np.ones(before.shape, dtype=bool)
        step = math.log(AMPLITUDES[1] / AMPLITUDES[0])
        for percent in AMPLITUDES:
            share = share_at(percent, design)
            crossed = open_ & (share >= kept)
            part = (share - kept)[crossed] / np.maximum((share - before)[crossed], 1e-9)
            weakest[crossed] = percent * np.exp(-step * np.clip(part, 0, 1))
            open_ &= ~crossed
            before = share
        weakest[np.isnan(share)] = np.nan
        return weakest.astype(np.float32)


def patches_of(
    signal: np.ndarray,
    gfactor: np.ndarray,
    noise_sd: np.ndarray,
    *,
    is_complex: bool,
    n_volumes: int,
    threshold: float | None,
    kernel_size: Sequence[int],
    patch_overlap: float,
    compat: bool,
    responding: float | np.ndarray,
) -> Patches:
    """Collect what decides about the survival of a response in every patch of a run.

    Parameters
    ----------
    signal : (x, y, z) array
        Mean magnitude, 0 in voxels without data.
    gfactor, noise_sd : (x, y, z) array
        As `NordicResult` has them, in units of the magnitude. `noise_sd` is the noise that there
        is, `gfactor` what the method takes it for; the threshold is made for the latter.
    is_complex : bool
        Whether the phase was used.
    n_volumes : int
        Noise volumes included.
    threshold : float or None
        On singular values of data divided by the g-factor, as in `NordicResult`; None for the
        Marchenko-Pastur rule, which is taken as a threshold at the edge of the noise.
    kernel_size, patch_overlap, compat
        Of the denoising pass.
    responding : float or (x, y, z) bool array
        Share of the voxels that respond, above 0 and below 1; or which.

    Returns
    -------
    Patches

    Raises
    ------
    GridMismatchError
        Maps of different shapes.
    ConfigError
        A share out of range.
    """
    if not signal.shape == gfactor.shape == noise_sd.shape:
        raise GridMismatchError(
            f"Signal {signal.shape}, noise map {gfactor.shape} and noise {noise_sd.shape} differ."
        )
    if np.isscalar(responding) and not 0 < responding < 1:
        raise ConfigError(f"The share of responding voxels is {responding}; accepted are 0 to 1.")
    shape, kernel = signal.shape, tuple(int(k) for k in kernel_size)
    axes = patch_axes(shape, kernel, patch_overlap, compat=compat, name="kernel_size")
    filled = (signal > 0) & np.isfinite(gfactor) & (gfactor > 0)
    scale = np.where(filled, gfactor, 1).astype(np.float64)
    rows = np.rint(box_sums(filled.astype(float), axes)).astype(int)
    parts = 2 if is_complex else 1
    noise = parts * np.square(noise_sd / scale)
    known = filled & np.isfinite(noise)
    count = box_sums(known.astype(float), axes)
    # Where the noise could not be measured it is what the noise map says.
    variance = np.where(
        count > 0.5,
        box_sums(np.where(known, noise, 0), axes) / np.maximum(count, 1),
        1.0,
    )
    voxel_power = np.where(filled, np.square(signal / scale), 0)
    power = box_sums(voxel_power, axes)
    if not np.isscalar(responding):
        inside = box_sums(np.where(responding, voxel_power, 0), axes)
        responding = np.divide(inside, power, out=np.zeros_like(power), where=power > 0)
    responding = np.broadcast_to(responding, power.shape)
    if threshold is None:
        limits = np.sqrt(variance) * (np.sqrt(rows) + math.sqrt(n_volumes))
    else:
        rule = Rule(n_volumes, math.prod(kernel), threshold, by_filled_rows=not compat)
        limits = rule.limits(rows.ravel()).reshape(rows.shape)
    return Patches(axes, n_volumes, rows, power, variance, limits, responding)
