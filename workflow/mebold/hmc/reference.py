"""The two reference images of a run: what motion is measured against, and what is aligned.

They may be of different echoes. Each is the SBRef of its own echo, else the robust mean of that
echo's series; an SBRef of another echo never takes its place, because its contrast differs. Where
only one of them is an SBRef, the head is not in the same place in both: the way between them comes
from two images of one echo.
"""

from typing import NamedTuple

import numpy as np

from mebold.hmc.track import robust_mean
from mebold.registration import rigid


class Reference(NamedTuple):
    """An image (x, y, z) and its (4, 4) affine."""

    image: np.ndarray
    affine: np.ndarray


class ReferenceImages(NamedTuple):
    """Of motion and of alignment, and the (4, 4) point map from the second to the first."""

    motion: Reference
    boldref: Reference
    to_motion: np.ndarray


def references(
    series: np.ndarray,
    other: np.ndarray,
    affine: np.ndarray,
    *,
    sbref: Reference | None,
    other_sbref: Reference | None,
    smoothing: dict[str, float],
) -> ReferenceImages:
    """Choose the reference images of a run.

    Parameters
    ----------
    series, other : (x, y, z, t) arrays
        Raw magnitudes of the echo that motion is measured on, and of that of the reference image.
    affine : (4, 4) array
        Voxel to world of both.
    sbref, other_sbref : Reference or None
        SBRefs of these echoes.
    smoothing : dict
        ``fwhm_mm`` and ``coarse_mm``, as from `mebold.registration.rigid.smoothing`.

    Returns
    -------
    ReferenceImages
    ----------
    """
    fine = {"fwhm_mm": smoothing["fwhm_mm"]}
    motion = sbref or Reference(robust_mean(series, affine, **fine), affine)
    boldref = other_sbref or Reference(robust_mean(other, affine, **fine), affine)
    if (sbref is None) == (other_sbref is None):
        return ReferenceImages(motion, boldref, np.eye(4))
    if sbref:  # both means lie where one volume was
        moving, fixed = motion, Reference(robust_mean(series, affine, **fine), affine)
    else:
        moving, fixed = Reference(robust_mean(other, affine, **fine), affine), boldref
    fit = rigid.register(
        moving.image, fixed.image,
        moving_affine=moving.affine, reference_affine=fixed.affine, **smoothing,
    )  # fmt: skip
    return ReferenceImages(motion, boldref, fit.matrix)
