"""A field that the scanner stored in Hz, rad/s or T, read as the phase that it was made from.

GE and Philips write such maps unmasked: air holds noise of the whole range, tissue near air is
wrapped where the field exceeds half of that range. So they take the way of a phase difference.
"""

import logging

import numpy as np
from scipy import ndimage

from mebold.fmap import gre

logger = logging.getLogger(__name__)

#: Noise in air counts as phase of all angles when its distribution lies this close to a uniform one
#: (Kolmogorov-Smirnov distance), and its ends this close to opposite (share of the range).
_UNIFORM = 0.1
_OPPOSITE = 0.05
#: Fewest voxels that can show it.
_FEWEST = 500
#: Without any sign of a period nothing is wrapped: the range of the field is a quarter of a turn.
_QUARTERS = 4.0


def to_hz(
    stored: np.ndarray,
    magnitude: np.ndarray,
    *,
    units: str | None,
    delta_te_s: float | None,
    affine: np.ndarray,
    curvature: float,
    steepest_hz_mm: float,
) -> np.ndarray:
    """Turn a stored field with its magnitude into a field map, as `gre.phasediff_to_hz` does.

    Parameters
    ----------
    stored : (x, y, z) array
        As stored; what is not finite, or 0 with all its neighbours, was not measured.
    magnitude : (x, y, z) array
        Of the same scan, any scale.
    units : str or None
        See `gre.field_to_hz`.
    delta_te_s : float or None
        Difference of the echo times, seconds, where the sidecar tells them; else the noise in air
        tells after how many Hz the values repeat (`period_hz`).
    affine, curvature, steepest_hz_mm
        See `gre.phasediff_to_hz`.

    Returns
    -------
    (x, y, z) float32 array
        Hz in every voxel. Whole turns that the scanner added stay: the median in the core is that
        of the stored values.

    Raises
    ------
    MetadataError
        When the units are missing or unknown.
    DataError
        When no voxel has both a field and a positive magnitude.
    """
    hertz = gre.field_to_hz(stored, units=units)
    finite = np.isfinite(stored)
    # Single zeros are values: a plane of them lies where the field changes its sign.
    measured = finite & ~ndimage.binary_opening(finite & (hertz == 0), np.ones((3, 3, 3)))
    magnitude = np.where(measured, magnitude, 0.0)
    core = gre.magnitude_mask(magnitude, affine) & measured
    period = 1.0 / delta_te_s if delta_te_s else period_hz(hertz, core, measured)
    if period is None:
        period = _QUARTERS * float(np.ptp(hertz[measured]))
        logger.info("nothing shows where the stored field would wrap: it is taken as it is")
    else:
        logger.info("the stored field repeats after %.1f Hz", period)
    phase = np.where(measured, hertz * (2.0 * np.pi / period), np.nan)
    field = gre.phasediff_to_hz(
        phase,
        magnitude,
        core,
        delta_te_s=1.0 / period,
        affine=affine,
        curvature=curvature,
        steepest_hz_mm=steepest_hz_mm,
    )
    turns = np.round(np.median((hertz - field)[core]) / period)
    return (field + turns * period).astype(np.float32)


def period_hz(hertz: np.ndarray, core: np.ndarray, measured: np.ndarray) -> float | None:
    """Return the range of a field whose noise takes all values of it alike, or None.

    Parameters
    ----------
    hertz : (x, y, z) array
    core : (x, y, z) bool array
        The object, or most of it.
    measured : (x, y, z) bool array
        Voxels with a value.
    """
    air = hertz[measured & ~ndimage.binary_dilation(core, iterations=3)]
    if air.size < _FEWEST:
        return None
    low, high = float(hertz[measured].min()), float(hertz[measured].max())
    if abs(low + high) > _OPPOSITE * (high - low):
        return None
    # Scalp and neck lie in the air's part of the image: it is enough that the noise is most of it.
    steps = (np.sort(air) - low) / (high - low)
    distance = np.abs(steps - (np.arange(air.size) + 0.5) / air.size).max()
    return high - low if distance < _UNIFORM else None
