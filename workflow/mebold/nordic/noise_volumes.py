"""Noise volumes of a series: finding them and appending them."""

import logging

import numpy as np

from mebold.errors import ConfigError, GridMismatchError

logger = logging.getLogger(__name__)
_BRIGHT_QUANTILE = 0.75
FEWEST_VOLUMES = 6
#: How noise volumes are known.
BY_INTENSITY, AS_CONFIGURED = "by their drop in intensity", "as configured"


def detect_noise_volumes(magnitude: np.ndarray, *, drop: float = 0.5) -> int:
    """Count the noise volumes at the end of a series by their drop in intensity.

    Parameters
    ----------
    magnitude : (x, y, z, t) array
        Any unit.
    drop : float
        A volume is noise when its mean over the brightest quarter of the image is below this
        fraction of the series' median.

    Returns
    -------
    n : int
        0 when the last volume is as bright as the others, or when the dark volumes at the end
        are the majority, so that nothing can be said.
    """
    data = np.asarray(magnitude)
    n_volumes = data.shape[-1]
    n_first = max(1, min(10, n_volumes // 2))
    first = np.nan_to_num(np.abs(data[..., :n_first].astype(np.float32))).mean(axis=-1)
    bright = first >= np.quantile(first, _BRIGHT_QUANTILE)
    level = np.array(
        [
            np.nan_to_num(np.abs(data[..., t][bright].astype(np.float32))).mean()
            for t in range(n_volumes)
        ]
    )
    dark = level < drop * np.median(level)
    n = n_volumes if dark.all() else int(np.argmin(dark[::-1]))
    if n >= n_volumes / 2:
        return 0
    if n:
        logger.info("The last %d of %d volumes are taken as noise volumes.", n, n_volumes)
    return n


def count_noise_volumes(magnitude: np.ndarray, wanted: int | str) -> tuple[int, str]:
    """Noise volumes at the end of a series, and how they are known.

    Parameters
    ----------
    magnitude : (x, y, z, t) array
    wanted : int or "auto"
        "auto" counts them, see `detect_noise_volumes`.

    Returns
    -------
    n : int
    origin : str

    Raises
    ------
    ConfigError
        When no other volume is left.
    """
    if wanted == "auto":
        return detect_noise_volumes(magnitude), BY_INTENSITY
    if not 0 <= int(wanted) < magnitude.shape[-1]:
        raise ConfigError(
            f"`nordic.noise_volumes` is {wanted}, but the series has {magnitude.shape[-1]} "
            f"volumes; accepted are 0 to {magnitude.shape[-1] - 1}, and 'auto'."
        )
    return int(wanted), AS_CONFIGURED


def append_noise_scan(series: np.ndarray, noise_scan: np.ndarray) -> np.ndarray:
    """Append a separately stored noise scan (BIDS suffix noRF) to a series.

    Parameters
    ----------
    series : (x, y, z, t) array
    noise_scan : (x, y, z, v) or (x, y, z) array
        Same part (magnitude or phase) and unit as `series`.

    Returns
    -------
    joined : (x, y, z, t + v) array
        To be passed with ``noise_volumes=v``.

    Raises
    ------
    GridMismatchError
        When the images differ in size.
    """
    if noise_scan.ndim == 3:
        noise_scan = noise_scan[..., None]
    if series.shape[:3] != noise_scan.shape[:3]:
        raise GridMismatchError(
            f"The noise scan has {noise_scan.shape[:3]} voxels, the series {series.shape[:3]}; "
            "both must be acquired on the same grid."
        )
    return np.concatenate([series, noise_scan], axis=3)
