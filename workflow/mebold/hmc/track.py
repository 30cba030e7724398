"""Estimate head motion: one rigid transform per volume, and between runs or sessions.

Raw volumes are compared with a raw reference. A volume corrected for distortion must never be
compared with one that is not: the mean displacement would enter as false motion.

Transforms are point maps from the reference to the moving volume, in world mm.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, bspline
from mebold.geometry.interpolation import resample_volume
from mebold.hmc.trust import Trust, doubted
from mebold.registration.gauss_newton import Fit
from mebold.registration.rigid import (
    DOUBTED_CORRELATION,
    Registration,
    reference_mask,
    score,
    usable,
)

logger = logging.getLogger(__name__)

#: Volumes fitted one after the other, each from its predecessor; fixed, so that results do not
#: depend on the number of threads.
_BLOCK = 16

#: A fit short of the level of the series by more than this share is tried again from other starts.
#: How little of the head it sees is no reason: another start does not change that.
_AGAIN = Trust(drop=0.02, overlap=0.0, floor=DOUBTED_CORRELATION)


@dataclass(frozen=True)
class Motion:
    """Motion of a series and how far it can be trusted.

    Attributes
    ----------
    matrices : ndarray, shape (t, 4, 4)
        Point maps from the reference to each volume. An unusable volume repeats its predecessor.
    correlation : ndarray, shape (t,)
        Correlation of each volume with the reference after the fit; 0 where unusable.
    overlap : ndarray, shape (t,)
        Share of the reference points inside the volume.
    scale : ndarray, shape (t,)
        Intensity factor from each volume to the reference.
    usable : ndarray, shape (t,), bool
        False for volumes without contrast or with non-finite voxels in the head.
    doubtful : ndarray, shape (t,), bool
        True where the fit did not converge, or matches the reference or overlaps with it clearly
        less than the good volumes of the series, although other starts were tried. Unusable
        volumes are doubtful.
    """

    matrices: np.ndarray
    correlation: np.ndarray
    overlap: np.ndarray
    scale: np.ndarray
    usable: np.ndarray
    doubtful: np.ndarray


def _fit_block(job: Registration, series, mask, first: int, last: int) -> list[Fit | None]:
    """Fit volumes first..last-1, each from the result of the one before."""
    fits: list[Fit | None] = []
    previous: np.ndarray | None = None
    buffer = bspline.empty_coefficients(series.shape)
    for t in range(first, last):
        volume = np.asarray(series[..., t], dtype=np.float32)
        if not usable(volume, mask):
            fits.append(None)
            continue
        if previous is None:
            fit = job.coarse_to_fine(volume, np.eye(4))
        else:
            fit = job.fine(volume, previous, buffer)
        if fit.converged:
            previous = fit.matrix
        fits.append(fit)
    return fits


def _doubted(fits: list[Fit | None], trust: Trust, non_steady: int) -> np.ndarray:
    """Return which fits are missing, not converged, or worse than those of the series."""
    known = [
        (0.0, 0.0, False) if f is None else (f.correlation, f.overlap, f.converged) for f in fits
    ]
    correlation, overlap, converged = map(np.array, zip(*known, strict=True))
    return doubted(correlation, overlap, converged, trust=trust, non_steady=non_steady)


def _recover(job: Registration, series, fits: list[Fit | None], non_steady: int) -> None:
    """Refit doubted volumes from other starts, in place."""
    for t in np.flatnonzero(_doubted(fits, _AGAIN, non_steady)):
        if fits[t] is None:
            continue
        volume = np.asarray(series[..., t], dtype=np.float32)
        before = next((fits[s] for s in range(t - 1, -1, -1) if fits[s] is not None), None)
        near = np.eye(4) if before is None else before.matrix
        candidates = [fits[t], job.coarse_to_fine(volume, near)]
        tried = [*fits[:t], max(candidates, key=score), *fits[t + 1 :]]
        if _doubted(tried, _AGAIN._replace(floor=0.0), non_steady)[t]:
            candidates.append(job.search(volume, near))
        fits[t] = max(candidates, key=score)


def track(
    series: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    *,
    reference_affine: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    coarse_mm: float = 8.0,
    trust: Trust = Trust(),  # noqa: B008 - a named tuple does not change
    non_steady: int = 0,
    n_threads: int = 1,
) -> Motion:
    """Estimate the motion of a series and flag volumes that cannot be trusted.

    Parameters
    ----------
    series : ndarray, shape (x, y, z, t)
        Raw magnitudes of one echo.
    reference : ndarray, shape (x, y, z)
        Raw reference of the same contrast (SBRef, or `robust_mean`).
    affine : ndarray, shape (4, 4)
        Voxel to world of the series.
    reference_affine : ndarray, shape (4, 4), optional
        Voxel to world of the reference; that of the series when absent.
    mask : ndarray, shape of the reference, bool, optional
        Voxels to compare; a threshold finds the head when absent.
    fwhm_mm, coarse_mm : float
        Gaussian smoothing of the final and of the first fit, mm.
    trust : Trust
        From where on a volume is doubtful.
    non_steady : int
        Volumes at the start whose contrast is not that of the others; see `mebold.hmc.steady`.
    n_threads : int
        Threads over blocks of volumes. The result does not depend on it.

    Returns
    -------
    Motion

    Raises
    ------
    GridMismatchError
        If shapes disagree.
    DataError
        If no volume can be used, or the reference has no contrast.
    """
    if series.ndim != 4:
        raise GridMismatchError(f"expected a series (x, y, z, t), got {series.shape}")
    reference_affine = affine if reference_affine is None else reference_affine
    job = Registration(reference, reference_affine, affine, mask, fwhm_mm, coarse_mm)
    mask = reference_mask(reference, mask)
    n = series.shape[3]
    blocks = [(first, min(first + _BLOCK, n)) for first in range(0, n, _BLOCK)]
    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        parts = list(pool.map(lambda b: _fit_block(job, series, mask, *b), blocks))
    fits = [fit for part in parts for fit in part]
    if all(fit is None for fit in fits):
        raise DataError(f"none of the {n} volumes holds an image: all constant or not finite")
    _recover(job, series, fits, non_steady)
    return _motion(fits, _doubted(fits, trust, non_steady))


def _motion(fits: list[Fit | None], doubtful: np.ndarray) -> Motion:
    """Collect fits; an unusable volume repeats the nearest usable one before it (or after)."""
    usable = np.array([fit is not None for fit in fits])
    first = int(np.flatnonzero(usable)[0])
    source = np.maximum.accumulate(np.where(usable, np.arange(len(fits)), first))
    if doubtful.any():
        logger.warning("motion of volumes %s is doubtful", np.flatnonzero(doubtful).tolist())
    return Motion(
        matrices=np.stack([fits[s].matrix for s in source]),
        correlation=np.array([0.0 if fit is None else fit.correlation for fit in fits]),
        overlap=np.array([0.0 if fit is None else fit.overlap for fit in fits]),
        scale=np.array([1.0 if fit is None else fit.scale for fit in fits]),
        usable=usable,
        doubtful=doubtful,
    )


def robust_mean(
    series: np.ndarray,
    affine: np.ndarray,
    *,
    n_volumes: int = 20,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    trust: Trust = Trust(),  # noqa: B008
    n_threads: int = 1,
) -> np.ndarray:
    """Return a reference volume for a series without a single-band reference.

    Parameters
    ----------
    series : ndarray, shape (x, y, z, t)
        Raw magnitudes of one echo, in their steady state.
    affine : ndarray, shape (4, 4)
        Voxel to world.
    n_volumes : int
        Volumes spread over the run that are aligned and averaged.
    mask : ndarray, shape (x, y, z), bool, optional
        Voxels to compare.
    fwhm_mm : float
        Smoothing of the registration, mm.
    trust : Trust
        From where on a volume is doubtful, and left out.
    n_threads : int
        Threads.

    Returns
    -------
    ndarray, shape (x, y, z), float32
        Median over the aligned volumes, in the position of the middle one.
    """
    chosen = np.unique(np.linspace(0, series.shape[3] - 1, n_volumes).round().astype(int))
    chosen = [t for t in chosen if usable(np.asarray(series[..., t]), np.zeros(0, bool))]
    if not chosen:
        raise DataError("no volume of the series holds an image: all constant or not finite")
    middle = np.asarray(series[..., chosen[len(chosen) // 2]], dtype=np.float32)
    subset = np.stack([np.asarray(series[..., t], dtype=np.float32) for t in chosen], axis=-1)
    known = {"mask": mask, "fwhm_mm": fwhm_mm, "trust": trust, "n_threads": n_threads}
    motion = track(subset, middle, affine, **known)
    points = affines.grid_points(middle.shape, affine)
    aligned = [
        resample_volume(subset[..., t], affine, points, matrix=motion.matrices[t])
        for t in range(len(chosen))
        if not motion.doubtful[t]
    ]
    aligned = aligned or [middle.ravel()]
    return np.median(aligned, axis=0).reshape(middle.shape).astype(np.float32)
