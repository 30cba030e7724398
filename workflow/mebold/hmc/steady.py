"""How many volumes a series needs until its magnetisation is steady.

The first volumes of a run are brighter: longitudinal magnetisation starts relaxed and falls to its
steady state within a few repetitions, in fluid last. A series that follows dummy scans has none.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.registration.rigid import reference_mask

#: Modified z-score of an outlier (Iglewicz and Hoaglin 1993), and how many volumes are looked at.
_OUTLIER, _CHECKED = 3.5, 50

#: Third quartile of the standard normal: scales the median absolute deviation to its deviation.
_QUARTILE = 0.6745

#: The voxels with the longest T1 are this share of the head, which gained most in the first volume,
#: this far from its edge (mm), where motion changes the signal more than relaxation does.
_SLOWEST, _DEPTH_MM = 0.1, 7.0

#: Volumes after one that it is compared with there: so few that motion does not tell.
_NEXT = 3

#: Relaxation leaves at most this part of the excess to the next volume. Fluid at small flip angles
#: and a TR of 0.7 s comes to 0.75; what stays is a step of the head.
_DECAY = 0.85

#: How the sidecar tells where the number comes from.
GIVEN = "given (hmc.non_steady_state)"
FOUND = (
    "leading outliers (modified z-score above 3.5 among the first 50 volumes) of the mean over the "
    "head, then of its slowest tenth relative to that mean"
)


def outlier_run(excess: np.ndarray, *, least: float) -> int:
    """Count the leading values that are positive outliers and decay.

    Parameters
    ----------
    excess : (T,) array
        Relative to the steady state, which need not be at 0.
    least : float
        Least distance of an outlier from the median: where noise is small, so is the median
        absolute deviation, and any fluctuation would be one.

    Returns
    -------
    int
        Of the first 50 values. Without `least` and decay it is that of nipype's ``is_outlier``,
        wherever no value lies below the rest.

    References
    ----------
    Iglewicz and Hoaglin 1993, "How to detect and handle outliers" (modified z-score); nipype 1.10,
    ``algorithms.confounds.is_outlier`` (as a detector of non-steady states).
    """
    checked = np.asarray(excess, dtype=np.float64)[:_CHECKED]
    checked = checked - np.median(checked)
    spread = np.median(np.abs(checked))
    outlier = (_QUARTILE * checked > _OUTLIER * spread) & (checked > least)
    count = len(checked) if outlier.all() else int(np.argmin(outlier))
    slow = np.flatnonzero(checked[1 : count + 1] > _DECAY * checked[:count]) + 1
    if not slow.size:
        return count
    return int(slow[0]) if slow[0] > 1 else 0


def count_non_steady(series: np.ndarray, affine: np.ndarray, *, least: float) -> int:
    """Count the volumes at the start of a series that are brighter than its steady state.

    The mean over the head tells whether there are any. If so, the voxels that gained most in the
    first volume, divided by that mean, tell how many: fluid is late, and the fluctuations that all
    voxels share would hide it.

    Parameters
    ----------
    series : (x, y, z, t) array
        Raw magnitudes of one echo, without noise volumes.
    affine : (4, 4) array
        Voxel to world, mm.
    least : float
        Least excess of such a volume, as a share of the signal in the steady state.

    Returns
    -------
    int
        0 in a series of fewer than three volumes.
    """
    early = series[..., :_CHECKED]
    if early.shape[3] < 3:
        return 0
    late = np.nan_to_num(early[..., early.shape[3] // 2 :]).mean(axis=-1, dtype=np.float32)
    head = reference_mask(late, None)
    if not head.any():
        return 0
    values = np.nan_to_num(early[head].astype(np.float32))
    whole = values.mean(axis=0, dtype=np.float64)
    if not np.median(whole) > 0:
        return 0
    found = outlier_run(whole / np.median(whole) - 1, least=least)
    if not found:
        return 0
    depth = ndimage.distance_transform_edt(head, sampling=affines.voxel_sizes(affine))[head]
    values = values[depth > min(_DEPTH_MM, 0.5 * depth.max())]
    usual = np.median(values[:, found:], axis=1)
    gain = values[:, 0] / np.maximum(usual, np.finfo(np.float32).tiny)
    slow = values[gain >= np.quantile(gain, 1 - _SLOWEST)].mean(axis=0, dtype=np.float64)
    ratio = slow / values.mean(axis=0, dtype=np.float64)
    after = np.convolve(ratio, np.ones(_NEXT) / _NEXT, mode="valid")[1:]
    return max(found, outlier_run(ratio[: len(after)] / after - 1, least=0.0))


def options(settings: Mapping) -> dict:
    """Return the options of `non_steady` from section ``hmc`` of the configuration."""
    return {"wanted": settings["non_steady_state"], "least": settings["least_excess"]}


def non_steady(
    series: np.ndarray, affine: np.ndarray, *, wanted: int | str, least: float
) -> tuple[int, str]:
    """Return how many volumes are not steady, and where the number comes from.

    Parameters
    ----------
    series, affine, least
        See `count_non_steady`.
    wanted : int or "auto"
        A number to take instead of looking.

    Returns
    -------
    count : int
    origin : str

    Raises
    ------
    DataError
        When fewer than two volumes would be left.
    """
    if wanted == "auto":
        return count_non_steady(series, affine, least=least), FOUND
    if wanted > series.shape[3] - 2:
        raise DataError(
            f"hmc.non_steady_state is {wanted}, but the series has {series.shape[3]} volumes: at "
            "least two must be steady"
        )
    return int(wanted), GIVEN
