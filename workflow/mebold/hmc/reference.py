"""Motion of a run, told from its reference image.

The reference image is the SBRef of its echo, else the robust mean of that echo's series; an SBRef
of another echo never takes its place, because its contrast differs. Where the SBRef of the echo
that motion is measured on has the contrast of its series, volumes are fitted to it. Otherwise they
are fitted to the mean of their own series, and that mean once to the SBRef (`offset`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mebold.geometry import grids
from mebold.hmc import offset
from mebold.hmc.track import Motion, robust_mean, track
from mebold.hmc.trust import Trust
from mebold.registration.gauss_newton import Fit
from mebold.registration.rigid import register

#: Correlation of an SBRef with the mean of its series from which on least squares may compare them:
#: 0.998 where both have one contrast, 0.96 where the series is saturated (simulated heads).
_SAME_CONTRAST = 0.99


class Referred(NamedTuple):
    """Reference image of a run, and the motion told from it.

    Attributes
    ----------
    image : (x, y, z) array
        Reference image.
    affine : (4, 4) array
        Its voxel to world, mm.
    mask : (x, y, z) bool array
        Brain on it.
    motion : Motion
        Point maps from the reference image to each volume.
    to_series : (4, 4) array
        Point map from the reference image to the mean of the series, world mm.
    quality : dict
        Of that map; empty where the reference image is itself such a mean.
    """

    image: np.ndarray
    affine: np.ndarray
    mask: np.ndarray
    motion: Motion
    to_series: np.ndarray
    quality: dict


def refer(
    series: np.ndarray,
    other: np.ndarray,
    affine: np.ndarray,
    *,
    sbref: tuple[np.ndarray, np.ndarray] | None,
    motion_sbref: tuple[np.ndarray, np.ndarray] | None,
    brain_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    bias_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    widths: Mapping[str, float],
    trust: Trust = Trust(),  # noqa: B008 - a named tuple does not change
    non_steady: int = 0,
    n_threads: int = 1,
) -> Referred:
    """Choose the reference image of a run and estimate its motion.

    Parameters
    ----------
    series, other : (x, y, z, t) array
        Raw magnitudes of the echo that motion is measured on and of that of the reference image;
        not looked at, and may be `series` again, where both echoes have an SBRef.
    affine : (4, 4) array
        Voxel to world of both, mm.
    sbref, motion_sbref : (volume (x, y, z), affine (4, 4)) or None
        SBRef of the echo of the reference image, and of that which motion is measured on.
    brain_of, bias_of : callable
        Given an image and its affine, return its brain mask and its receive bias.
    widths, trust, non_steady, n_threads
        As in `motion_from`.
    """
    known = {"widths": widths, "trust": trust, "non_steady": non_steady, "n_threads": n_threads}
    if sbref is None:
        image = robust_mean(other[..., non_steady:], affine, fwhm_mm=widths["fwhm_mm"], trust=trust)
        mask, still = brain_of(image, affine), np.eye(4)
        motion = motion_from(
            series, affine, to_series=still, mask=mask, mask_affine=affine, **known
        )
        return Referred(image, affine, mask, motion, still, {})
    mask, seen = brain_of(*sbref), motion_sbref or sbref
    alike = series if motion_sbref else other
    known |= {"mask": mask, "bias": bias_of(*seen)}
    motion, fit = motion_from_sbref(series, alike, affine, *seen, **known)
    return Referred(*sbref, mask, motion, fit.matrix, fit.quality)


def motion_from(
    series: np.ndarray,
    affine: np.ndarray,
    *,
    to_series: np.ndarray,
    mask: np.ndarray,
    mask_affine: np.ndarray,
    widths: Mapping[str, float],
    mean: np.ndarray | None = None,
    trust: Trust = Trust(),  # noqa: B008
    non_steady: int = 0,
    n_threads: int = 1,
) -> Motion:
    """Estimate the motion of a series, told from the reference image of its run.

    Parameters
    ----------
    series : (x, y, z, t) array
        Raw magnitudes of one echo.
    affine : (4, 4) array
        Its voxel to world, mm.
    to_series : (4, 4) array
        Point map from the reference image to the mean of the series, world mm; identity where the
        reference image is itself such a mean.
    mask : (x', y', z') bool array
        Brain on the reference image.
    mask_affine : (4, 4) array
        Its voxel to world, mm.
    widths : mapping
        ``fwhm_mm`` and ``coarse_mm`` of both fits, as from `mebold.registration.rigid.smoothing`.
    mean : (x, y, z) array, optional
        What the volumes are fitted to; the robust mean of the series by default.
    trust : Trust
        From where on a volume is doubtful.
    non_steady : int
        Volumes at the start whose contrast is not that of the others: no part of the mean.
    n_threads : int

    Returns
    -------
    Motion
        Point maps from the reference image to each volume.
    """
    known = {"trust": trust, "n_threads": n_threads}
    if mean is None:
        steady = series[..., non_steady:]
        mean = robust_mean(steady, affine, fwhm_mm=widths["fwhm_mm"], **known)
    pull = {"matrix": np.linalg.inv(to_series), "order": 0}
    own = grids.onto(mask, mask_affine, mean.shape, affine, **pull) > 0
    within = track(series, mean, affine, mask=own, **widths, **known, non_steady=non_steady)
    return replace(within, matrices=within.matrices @ to_series)


def motion_from_sbref(
    series: np.ndarray,
    alike: np.ndarray,
    affine: np.ndarray,
    sbref: np.ndarray,
    sbref_affine: np.ndarray,
    *,
    bias: np.ndarray,
    mask: np.ndarray,
    widths: Mapping[str, float],
    trust: Trust = Trust(),  # noqa: B008
    non_steady: int = 0,
    n_threads: int = 1,
) -> tuple[Motion, Fit]:
    """Estimate the motion of a series, told from a single-band reference.

    Parameters
    ----------
    series : (x, y, z, t) array
        Raw magnitudes of the echo that motion is measured on.
    alike : (x, y, z, t) array
        Those of the echo of the SBRef: `series` itself, or another echo of the run.
    affine : (4, 4) array
        Voxel to world of both series, mm.
    sbref, bias : (x', y', z') array
        SBRef, and the receive bias on its grid; see `mebold.hmc.offset.to_reference`.
    sbref_affine : (4, 4) array
        Its voxel to world, mm.
    mask : (x', y', z') bool array
        Brain on the SBRef.
    widths, trust, non_steady, n_threads
        As in `motion_from`.

    Returns
    -------
    motion : Motion
        Point maps from the SBRef to each volume.
    fit : Fit
        Of the mean of `alike` to the SBRef.
    """
    known = {"trust": trust, "n_threads": n_threads}
    mean = robust_mean(alike[..., non_steady:], affine, fwhm_mm=widths["fwhm_mm"], **known)
    known["non_steady"] = non_steady
    grid = {"moving_affine": affine, "reference_affine": sbref_affine, "mask": mask}
    fit = register(mean, sbref, **grid, **widths)
    if fit.correlation >= _SAME_CONTRAST and alike is series:
        options = {"reference_affine": sbref_affine, "mask": mask}
        return track(series, sbref, affine, **options, **widths, **known), fit
    if fit.correlation < _SAME_CONTRAST:
        fit = offset.to_reference(mean, affine, sbref, sbref_affine, bias=bias, mask=mask, **widths)
    known |= {"mask": mask, "mask_affine": sbref_affine, "widths": widths}
    own = mean if alike is series else None
    return motion_from(series, affine, to_series=fit.matrix, mean=own, **known), fit
