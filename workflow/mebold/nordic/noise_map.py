"""Noise map of a series: its check, its repair, and the noise level that it shows."""

import logging
import warnings

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.nordic.noise_volumes import FEWEST_VOLUMES

logger = logging.getLogger(__name__)
_UNIT_FACTOR = 10.0  # a noise map further off is in other units
_MEDIAN_TO_SD = 1.4826  # of normal values
_UNIT_VOLUMES, _UNIT_QUANTILES = 20, (0.1, 0.5)


def check_noise_map(
    noise_map: np.ndarray, magnitude: np.ndarray, *, is_complex: bool
) -> np.ndarray:
    """Refuse a noise map that cannot be the noise of a series.

    Parameters
    ----------
    noise_map : (x, y, z) or (x, y, z, 1) array
        Convention of `NordicResult.gfactor`: standard deviation in signal units, for complex data
        of real and imaginary part together.
    magnitude : (x, y, z, t) array
        Without noise volumes.
    is_complex : bool
        Whether the series has a phase.

    Returns
    -------
    noise_map : (x, y, z) array

    Raises
    ------
    GridMismatchError
        When it has another matrix than the series.
    DataError
        When values are negative, none is above 0, or the level is more than ten times off what
        the series changes from volume to volume, which shows other units.

    Warns
    -----
    UserWarning
        When values are 0 or not finite where the series has signal; they get the median.
    """
    if noise_map.ndim == 4 and noise_map.shape[3] == 1:
        noise_map = noise_map[..., 0]
    if noise_map.shape != magnitude.shape[:3]:
        raise GridMismatchError(
            f"The noise map has the shape {noise_map.shape}, a volume {magnitude.shape[:3]}; they "
            "must be equal."
        )
    if np.any(noise_map < 0):
        raise DataError(
            f"The noise map goes down to {np.nanmin(noise_map):g}; accepted are values above 0."
        )
    series = np.nan_to_num(np.asarray(magnitude[..., :_UNIT_VOLUMES], dtype=np.float32))
    filled = series.any(axis=3)
    known = np.isfinite(noise_map) & (noise_map > 0)
    if not (known & filled).any():
        raise DataError("The noise map holds no value above 0 where the series has signal.")
    if missing := int((filled & ~known).sum()):
        warnings.warn(
            f"The noise map is 0 or not finite in {missing} voxels with signal; they get its "
            "median.",
            stacklevel=2,
        )
    # The median forgives a movement or two.
    steps = np.median(np.abs(np.diff(series[known & filled], axis=1)), axis=1)
    change = _MEDIAN_TO_SD * steps / np.sqrt(1 if is_complex else 2)
    level = float(np.median(noise_map[known & filled]))
    quiet, usual = np.quantile(change, _UNIT_QUANTILES)
    if not quiet / _UNIT_FACTOR <= level <= usual * _UNIT_FACTOR:
        raise DataError(
            f"The noise map has a median of {level:.3g}, but the series fluctuates by {quiet:.3g} "
            f"(quiet voxels) to {usual:.3g} (median). Accepted are standard deviations in the "
            "units of the magnitude"
            + (", of real and imaginary part together (sqrt(2) times one)." if is_complex else ".")
        )
    return noise_map


def smallest_magnitude(magnitude: np.ndarray) -> float:
    """Smallest non-zero magnitude of the first volume that is not empty: the unit of the method.

    Raises
    ------
    DataError
        When the whole series is zero.
    """
    for t in range(magnitude.shape[3]):
        volume = np.abs(magnitude[..., t].astype(np.float32))
        usable = volume[(volume > 0) & np.isfinite(volume)]
        if usable.size:
            if t:
                logger.warning("%d volumes at the start are empty.", t)
            return float(usable.min())
    raise DataError(
        f"All {magnitude.shape[3]} volumes of the magnitude are zero or not finite; accepted are "
        "series with signal. Is the file complete?"
    )


def measured_level(volumes: list[list[np.ndarray]], gfactor: np.ndarray) -> float:
    """Compute the standard deviation of noise volumes divided by the g-factor, per channel.

    Parameters
    ----------
    volumes : list of [real] or [real, imaginary]
        One entry per noise volume, each part (x, y, z).
    gfactor : (x, y, z) array
        In the same unit.

    Returns
    -------
    level : float
        About 1 for magnitude data and 1/sqrt(2) for complex data when the g-factor is right.

    Raises
    ------
    DataError
        When the noise volumes are empty.
    """
    values = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for parts in volumes:
            scaled = [part.astype(np.float64) / gfactor for part in parts]
            usable = np.all([np.isfinite(part) for part in scaled], axis=0)
            usable &= np.any([part != 0 for part in scaled], axis=0)
            values.append(np.stack([part[usable] for part in scaled]))
    joined = np.concatenate(values, axis=1)
    if joined.shape[1] < 2:
        raise DataError("The noise volumes are empty; set noise_volumes to 0.")
    centred = joined - joined.mean(axis=1, keepdims=True)
    total = np.sum(centred**2) / (joined.shape[1] - 1)
    return float(np.sqrt(total / len(joined)))


def repair_gfactor(gfactor: np.ndarray, n_volumes: int, *, compat: bool) -> tuple[np.ndarray, bool]:
    """Replace missing values of a g-factor map by the median of the others.

    Parameters
    ----------
    gfactor : (x, y, z) array
        In units of the smallest magnitude, NaN where no patch lies.
    n_volumes : int
    compat : bool
        When any value is 0, replace every value below 1, as the reference program does.

    Returns
    -------
    gfactor : (x, y, z) float64
    has_empty : bool
        Whether some voxels lie only in empty patches.

    Raises
    ------
    DataError
        When no value is left.
    """
    repaired = np.array(gfactor, dtype=np.float64)
    has_empty = bool(np.any(repaired == 0))
    missing = repaired == 0
    if n_volumes < FEWEST_VOLUMES:
        missing |= np.isnan(repaired)
    elif has_empty and compat:
        missing = ~(repaired >= 1)
    known = repaired[(repaired > 0) & np.isfinite(repaired)]
    if not known.size:
        raise DataError("No noise level can be estimated: all patches are empty or too uniform.")
    repaired[missing] = np.median(known)
    return repaired, has_empty and n_volumes >= FEWEST_VOLUMES
