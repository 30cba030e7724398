"""Fit volumes to one EPI reference: fine from a good start, coarse first, or searched.

Only the geometry of a single registration lives here; series are the business of `mebold.hmc`.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, bspline
from mebold.registration import gauss_newton
from mebold.registration.gauss_newton import Fit, Level

#: A volume's fit whose correlation is below this value is tried again from other starts.
DOUBTED_CORRELATION = 0.8

#: The same for `register`: reference images have little noise, and a head turned by ten degrees
#: in the wrong place still correlates by 0.85 with its reference.
_DOUBTED_REFERENCE = 0.95

_COARSE_STEP = 2
_SEARCH_STEP = 4

#: Intensity terms of the final fit: a quadratic polynomial.
_TERMS = 10

#: The final fit starts with every so many-th point.
_QUICK_EVERY = 6

#: Share of non-finite voxels inside the mask that makes a volume unusable.
_MAX_NON_FINITE = 0.01


def smoothing(affine: np.ndarray, settings: Mapping[str, float]) -> dict[str, float]:
    """Return the smoothing of both fits for the voxels of an image.

    A volume sampled more coarsely than it is smoothed holds structure that a spline misplaces when
    the head moves by a fraction of a voxel, so the width has a lower limit in voxels.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Voxel to world of the reference.
    settings : mapping
        Section ``hmc`` of the configuration; ``fwhm_mm``: smoothing of the final fit, mm,
        ``fwhm_voxels``: the same in units of the largest voxel size, the wider of the two holds,
        ``coarse_mm``: smoothing of the first fit, mm, never less than that of the final fit.

    Returns
    -------
    dict
        ``fwhm_mm`` and ``coarse_mm`` of `register` and `mebold.hmc.track`.
    """
    largest = float(affines.voxel_sizes(affine).max())
    fine = max(settings["fwhm_mm"], settings["fwhm_voxels"] * largest)
    return {"fwhm_mm": fine, "coarse_mm": max(settings["coarse_mm"], fine)}


def reference_mask(reference: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
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


def usable(volume: np.ndarray, mask: np.ndarray) -> bool:
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


class Registration:
    """A reference prepared at all resolutions, to which volumes of one grid are fitted."""

    def __init__(self, reference, reference_affine, moving_affine, mask, fwhm_mm, coarse_mm):
        _check_reference(reference)
        self.affine = np.asarray(moving_affine, dtype=np.float64)
        mask = reference_mask(reference, mask)
        levels = {
            "fine": Level(fwhm_mm, 1, terms=_TERMS),
            "coarse": Level(coarse_mm, _COARSE_STEP),
            "search": Level(gauss_newton.SEARCH_FWHM_MM, _SEARCH_STEP),
        }
        affine = np.asarray(reference_affine, dtype=np.float64)
        self.levels = {
            name: gauss_newton.prepare(reference, affine, mask, level)
            for name, level in levels.items()
        }
        fine = self.levels["fine"]
        enough = fine.values.size >= _QUICK_EVERY * 10 * gauss_newton.MIN_POINTS
        self.quick = fine.every(_QUICK_EVERY) if enough else fine

    def coefficients(self, volume, name, out=None) -> np.ndarray:
        """Return the spline coefficients of a moving volume, smoothed for a level."""
        width = gauss_newton.fwhm_voxels(self.levels[name].level.fwhm_mm, self.affine)
        return bspline.coefficients(volume, fwhm_voxels=width, out=out)

    def fine(self, volume, start, out=None) -> Fit:
        """Fit from a good start: a subset of the points first, then all of them."""
        c = self.coefficients(volume, "fine", out)
        fit = gauss_newton.gauss_newton(c, self.affine, self.quick, start, tolerance_mm=0.02)
        return gauss_newton.gauss_newton(c, self.affine, self.levels["fine"], fit.matrix)

    def coarse_to_fine(self, volume, start) -> Fit:
        """Fit from a start that may be several mm or degrees off."""
        c = self.coefficients(volume, "coarse")
        fit = gauss_newton.gauss_newton(
            c, self.affine, self.levels["coarse"], start, tolerance_mm=0.05
        )
        return self.fine(volume, fit.matrix if fit.converged else start)

    def search(self, volume, start) -> Fit:
        """Fit from many turns and keep the best match."""
        c = self.coefficients(volume, "search")
        reference = self.levels["search"]
        fits = [
            gauss_newton.gauss_newton(
                c, self.affine, reference, s, max_iterations=15, tolerance_mm=0.2
            )
            for s in gauss_newton.search_starts(reference, c, self.affine, start)
        ]
        ranked = sorted(fits, key=score, reverse=True)
        best = [self.coarse_to_fine(volume, fit.matrix) for fit in ranked[:2]]
        return max(best, key=score)


def score(fit: Fit) -> float:
    """Rank fits: correlation, unless too little of the head is left."""
    return fit.correlation if fit.overlap >= gauss_newton.MIN_OVERLAP else -1.0


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
    job = Registration(reference, reference_affine, moving_affine, mask, fwhm_mm, coarse_mm)
    if not usable(moving, np.zeros(0, bool)):
        raise DataError("the moving volume is constant or not finite; expected an image")
    start = np.eye(4) if start is None else start
    fit = job.coarse_to_fine(moving, start)
    if not fit.converged or fit.correlation < _DOUBTED_REFERENCE:
        fit = max(fit, job.search(moving, start), key=score)
    return fit
