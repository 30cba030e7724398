"""Estimate head motion: one rigid transform per volume, and between runs or sessions.

Raw volumes are compared with a raw reference. A volume corrected for distortion must never be
compared with one that is not: the mean displacement would enter as false motion.

Transforms are point maps from the reference to the moving volume, in world mm.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation, Slerp

from mebold import affines, bspline, hmc_fit
from mebold.errors import DataError, GridMismatchError
from mebold.hmc_fit import Fit, Level, Reference
from mebold.resample import resample_volume

logger = logging.getLogger(__name__)

#: Volumes fitted one after the other, each from its predecessor; fixed, so that results do not
#: depend on the number of threads.
_BLOCK = 16

#: A fit is doubted when its correlation falls below the series median by this much, or below
#: this value.
DOUBTED_DROP = 0.03
DOUBTED_CORRELATION = 0.8

#: A fit that still lies this far below the median after the search is flagged.
FLAGGED_DROP = 0.10
FLAGGED_CORRELATION = 0.6

_COARSE_STEP = 2
_SEARCH_STEP = 4

#: Share of non-finite voxels inside the mask that makes a volume unusable.
_MAX_NON_FINITE = 0.01


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
        True where the fit did not converge or matches the reference clearly worse than the
        rest of the series, although other starts were tried. Unusable volumes are doubtful.
    """

    matrices: np.ndarray
    correlation: np.ndarray
    overlap: np.ndarray
    scale: np.ndarray
    usable: np.ndarray
    doubtful: np.ndarray


def _reference_mask(reference: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the given mask after checking it, or a rough one from the intensities."""
    if mask is not None:
        if mask.shape != reference.shape:
            raise GridMismatchError(f"mask has shape {mask.shape}, the reference {reference.shape}")
        return np.asarray(mask, dtype=bool)
    smooth = ndimage.gaussian_filter(np.nan_to_num(reference), 1.0)
    return smooth > 0.2 * np.percentile(smooth, 98)


def _check_reference(reference: np.ndarray) -> None:
    """Refuse a reference without contrast."""
    if reference.ndim != 3:
        raise GridMismatchError(f"the reference must be one volume, got {reference.shape}")
    finite = reference[np.isfinite(reference)]
    if finite.size == 0 or finite.min() == finite.max():
        raise DataError("the reference volume is constant or not finite; expected an image")


def _usable(volume: np.ndarray, mask: np.ndarray) -> bool:
    """Tell whether a volume can be registered at all."""
    low, high = float(volume.min()), float(volume.max())
    if np.isfinite(low) and np.isfinite(high):
        return low < high
    finite = np.isfinite(volume)
    if not finite.any() or volume[finite].min() == volume[finite].max():
        return False
    if mask.shape != volume.shape:
        return bool((~finite).mean() <= _MAX_NON_FINITE)
    return bool((~finite[mask]).mean() <= _MAX_NON_FINITE)


class _Registration:
    """A reference prepared at all resolutions, to which volumes of one grid are fitted."""

    def __init__(self, reference, reference_affine, moving_affine, mask, fwhm_mm, coarse_mm):
        _check_reference(reference)
        self.affine = np.asarray(moving_affine, dtype=np.float64)
        mask = _reference_mask(reference, mask)
        levels = {
            "fine": Level(fwhm_mm, 1),
            "coarse": Level(coarse_mm, _COARSE_STEP),
            "search": Level(hmc_fit.SEARCH_FWHM_MM, _SEARCH_STEP),
        }
        affine = np.asarray(reference_affine, dtype=np.float64)
        self.levels = {
            name: hmc_fit.prepare(reference, affine, mask, level) for name, level in levels.items()
        }
        self.quick = _every_nth(self.levels["fine"], 6)

    def coefficients(self, volume, name, out=None):
        width = hmc_fit.fwhm_voxels(self.levels[name].level.fwhm_mm, self.affine)
        return bspline.coefficients(volume, fwhm_voxels=width, out=out)

    def fine(self, volume, start, out=None) -> Fit:
        """Fit from a good start: a subset of the points first, then all of them."""
        c = self.coefficients(volume, "fine", out)
        fit = hmc_fit.gauss_newton(c, self.affine, self.quick, start, tolerance_mm=0.02)
        return hmc_fit.gauss_newton(c, self.affine, self.levels["fine"], fit.matrix)

    def coarse_to_fine(self, volume, start) -> Fit:
        """Fit from a start that may be several mm or degrees off."""
        c = self.coefficients(volume, "coarse")
        fit = hmc_fit.gauss_newton(c, self.affine, self.levels["coarse"], start, tolerance_mm=0.05)
        return self.fine(volume, fit.matrix if fit.converged else start)

    def search(self, volume, start) -> Fit:
        """Fit from many turns and keep the best match."""
        c = self.coefficients(volume, "search")
        reference = self.levels["search"]
        fits = [
            hmc_fit.gauss_newton(c, self.affine, reference, s, max_iterations=15, tolerance_mm=0.2)
            for s in hmc_fit.search_starts(reference, c, self.affine, start)
        ]
        ranked = sorted(fits, key=_score, reverse=True)
        best = [self.coarse_to_fine(volume, fit.matrix) for fit in ranked[:2]]
        return max(best, key=_score)


def _every_nth(reference: Reference, n: int) -> Reference:
    """Return a reference with every n-th of its points."""
    if len(reference.values) // n < 10 * hmc_fit.MIN_POINTS:
        return reference
    jacobian = np.ascontiguousarray(reference.jacobian[::n])
    normal = jacobian.T.astype(np.float64) @ jacobian.astype(np.float64)
    return Reference(
        np.ascontiguousarray(reference.points[::n]),
        np.ascontiguousarray(reference.values[::n]),
        jacobian,
        normal,
        reference.centre,
        reference.level,
    )


def _score(fit: Fit) -> float:
    """Rank fits: correlation, unless too little of the head is left."""
    return fit.correlation if fit.overlap >= hmc_fit.MIN_OVERLAP else -1.0


def register(
    moving: np.ndarray,
    reference: np.ndarray,
    *,
    moving_affine: np.ndarray,
    reference_affine: np.ndarray,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    coarse_mm: float = 8.0,
    start: np.ndarray | None = None,
) -> Fit:
    """Align two EPI volumes of the same contrast and say how well they match.

    Parameters
    ----------
    moving, reference : ndarray, shape (x, y, z)
        Volumes, on grids of their own.
    moving_affine, reference_affine : ndarray, shape (4, 4)
        Voxel to world.
    mask : ndarray, shape of the reference, bool, optional
        Voxels of the reference to compare; a threshold finds the head when absent.
    fwhm_mm, coarse_mm : float
        Gaussian smoothing of the final and of the first fit, mm.
    start : ndarray, shape (4, 4), optional
        First guess; identity when absent.

    Returns
    -------
    Fit
        With the point map from reference to moving. A low correlation or ``converged == False``
        means that the result must be looked at.

    Raises
    ------
    DataError
        If a volume has no contrast, or too few voxels are left.
    """
    job = _Registration(reference, reference_affine, moving_affine, mask, fwhm_mm, coarse_mm)
    if not _usable(moving, np.zeros(0, bool)):
        raise DataError("the moving volume is constant or not finite; expected an image")
    start = np.eye(4) if start is None else start
    fit = job.coarse_to_fine(moving, start)
    if not fit.converged or fit.correlation < DOUBTED_CORRELATION:
        fit = max(fit, job.search(moving, start), key=_score)
    return fit


def align(
    moving: np.ndarray,
    reference: np.ndarray,
    *,
    moving_affine: np.ndarray,
    reference_affine: np.ndarray,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    coarse_mm: float = 8.0,
) -> np.ndarray:
    """Return the rigid point map from one EPI reference to another; see `register`.

    Returns
    -------
    ndarray, shape (4, 4), float64
        Point map from reference to moving, world mm.
    """
    return register(
        moving,
        reference,
        moving_affine=moving_affine,
        reference_affine=reference_affine,
        mask=mask,
        fwhm_mm=fwhm_mm,
        coarse_mm=coarse_mm,
    ).matrix


def _fit_block(job: _Registration, series, mask, first: int, last: int) -> list[Fit | None]:
    """Fit volumes first..last-1, each from the result of the one before."""
    fits: list[Fit | None] = []
    previous: np.ndarray | None = None
    buffer = bspline.empty_coefficients(series.shape)
    for t in range(first, last):
        volume = np.asarray(series[..., t], dtype=np.float32)
        if not _usable(volume, mask):
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


def _doubted(fits: list[Fit | None], *, drop: float, floor: float) -> np.ndarray:
    """Return which fits are missing, not converged, or match much worse than the rest."""
    correlation = np.array([0.0 if fit is None else fit.correlation for fit in fits])
    converged = np.array([fit is not None and fit.converged for fit in fits])
    good = correlation[converged]
    typical = float(np.median(good)) if good.size else 1.0
    return ~converged | (correlation < typical - drop) | (correlation < floor)


def _recover(job: _Registration, series, fits: list[Fit | None]) -> None:
    """Refit doubted volumes from other starts, in place."""
    doubted = _doubted(fits, drop=DOUBTED_DROP, floor=DOUBTED_CORRELATION)
    for t in np.flatnonzero(doubted):
        if fits[t] is None:
            continue
        volume = np.asarray(series[..., t], dtype=np.float32)
        before = next((fits[s] for s in range(t - 1, -1, -1) if fits[s] is not None), None)
        near = np.eye(4) if before is None else before.matrix
        candidates = [fits[t], job.coarse_to_fine(volume, near)]
        if _doubted([*fits, max(candidates, key=_score)], drop=DOUBTED_DROP, floor=0.0)[-1]:
            candidates.append(job.search(volume, near))
        fits[t] = max(candidates, key=_score)


def track(
    series: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    *,
    reference_affine: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    coarse_mm: float = 8.0,
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
    job = _Registration(reference, reference_affine, affine, mask, fwhm_mm, coarse_mm)
    mask = _reference_mask(reference, mask)
    n = series.shape[3]
    blocks = [(first, min(first + _BLOCK, n)) for first in range(0, n, _BLOCK)]
    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        parts = list(pool.map(lambda b: _fit_block(job, series, mask, *b), blocks))
    fits = [fit for part in parts for fit in part]
    if all(fit is None for fit in fits):
        raise DataError(f"none of the {n} volumes holds an image: all constant or not finite")
    _recover(job, series, fits)
    return _motion(fits)


def _motion(fits: list[Fit | None]) -> Motion:
    """Collect fits; an unusable volume repeats the nearest usable one before it (or after)."""
    usable = np.array([fit is not None for fit in fits])
    doubtful = _doubted(fits, drop=FLAGGED_DROP, floor=FLAGGED_CORRELATION)
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


def estimate(
    series: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    *,
    reference_affine: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    n_threads: int = 1,
) -> np.ndarray:
    """Return the motion of a series in which every volume must be usable; see `track`.

    Returns
    -------
    ndarray, shape (t, 4, 4), float64
        Point maps from the reference to each volume, world mm.

    Raises
    ------
    DataError
        If a volume holds no image; the message names its index.
    """
    motion = track(
        series,
        reference,
        affine,
        reference_affine=reference_affine,
        mask=mask,
        fwhm_mm=fwhm_mm,
        n_threads=n_threads,
    )
    if not motion.usable.all():
        raise DataError(
            f"volumes {np.flatnonzero(~motion.usable).tolist()} are constant or not finite; "
            "remove them, or use hmc.track, which repeats the volume before and flags them"
        )
    return motion.matrices


def parameters(matrices: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return translations (mm) and rotations (rad) of each matrix about a centre.

    Parameters
    ----------
    matrices : ndarray, shape (t, 4, 4)
        Rigid point maps.
    centre : ndarray, shape (3,)
        Centre of rotation, world mm.

    Returns
    -------
    ndarray, shape (t, 6), float64
        See `affines.rigid_parameters`.
    """
    return np.stack([affines.rigid_parameters(matrix, centre) for matrix in matrices])


def at_times(
    matrices: np.ndarray,
    *,
    tr: float,
    tr_out: float,
    n_out: int,
    centre: np.ndarray,
    volume_time_s: float | None = None,
) -> np.ndarray:
    """Interpolate motion to the samples of a resampled series.

    Parameters
    ----------
    matrices : ndarray, shape (t, 4, 4)
        One rigid point map per acquired volume.
    tr, tr_out : float
        Repetition time and output sampling interval, seconds.
    n_out : int
        Number of output samples; sample k lies at ``k * tr_out``.
    centre : ndarray, shape (3,)
        The point whose path is interpolated linearly (centre of the head), world mm.
    volume_time_s : float, optional
        Time within a volume that its matrix describes: the mean of its slice times. Half the
        repetition time when absent.

    Returns
    -------
    ndarray, shape (n_out, 4, 4), float64
        Linear in the position of the centre, great arcs in rotation; held at both ends.
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    if len(matrices) == 1:
        return np.repeat(matrices, n_out, axis=0)
    offset = tr / 2 if volume_time_s is None else volume_time_s
    knots = np.arange(len(matrices)) * tr + offset
    times = np.clip(np.arange(n_out) * tr_out, knots[0], knots[-1])
    centre = np.asarray(centre, dtype=np.float64)
    path = matrices[:, :3, :3] @ centre
    path = path + matrices[:, :3, 3]
    out = np.tile(np.eye(4), (n_out, 1, 1))
    out[:, :3, :3] = Slerp(knots, Rotation.from_matrix(matrices[:, :3, :3]))(times).as_matrix()
    places = np.stack([np.interp(times, knots, path[:, a]) for a in range(3)], axis=1)
    out[:, :3, 3] = places - out[:, :3, :3] @ centre
    return out


def robust_mean(
    series: np.ndarray,
    affine: np.ndarray,
    *,
    n_volumes: int = 20,
    mask: np.ndarray | None = None,
    fwhm_mm: float = 3.0,
    n_threads: int = 1,
) -> np.ndarray:
    """Return a reference volume for a series without a single-band reference.

    Parameters
    ----------
    series : ndarray, shape (x, y, z, t)
        Raw magnitudes of one echo.
    affine : ndarray, shape (4, 4)
        Voxel to world.
    n_volumes : int
        Volumes spread over the run that are aligned and averaged.
    mask : ndarray, shape (x, y, z), bool, optional
        Voxels to compare.
    fwhm_mm : float
        Smoothing of the registration, mm.
    n_threads : int
        Threads.

    Returns
    -------
    ndarray, shape (x, y, z), float32
        Median over the aligned volumes, in the position of the middle one.
    """
    chosen = np.unique(np.linspace(0, series.shape[3] - 1, n_volumes).round().astype(int))
    chosen = [t for t in chosen if _usable(np.asarray(series[..., t]), np.zeros(0, bool))]
    if not chosen:
        raise DataError("no volume of the series holds an image: all constant or not finite")
    middle = np.asarray(series[..., chosen[len(chosen) // 2]], dtype=np.float32)
    subset = np.stack([np.asarray(series[..., t], dtype=np.float32) for t in chosen], axis=-1)
    motion = track(subset, middle, affine, mask=mask, fwhm_mm=fwhm_mm, n_threads=n_threads)
    points = affines.grid_points(middle.shape, affine)
    aligned = [
        resample_volume(subset[..., t], affine, points, matrix=motion.matrices[t])
        for t in range(len(chosen))
        if not motion.doubtful[t]
    ]
    aligned = aligned or [middle.ravel()]
    return np.median(aligned, axis=0).reshape(middle.shape).astype(np.float32)
