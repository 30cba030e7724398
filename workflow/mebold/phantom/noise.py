"""What a reconstruction does to thermal noise and to the background."""

import numpy as np
from scipy import fft, ndimage

from mebold.phantom.spec import PhantomSpec

#: A voxel holds signal when it has this share of what is typical of the head.
_SIGNAL_SHARE = 0.05
_RIM_VOXELS = 2


def partial_fourier(noise: np.ndarray, fraction: float) -> np.ndarray:
    """Correlate white noise as zero filling of the lines that were not acquired does.

    Of the phase-encoding lines one end is missing. Two voxels that lie d apart along that axis
    are then correlated by the mean of exp(2 pi i k d / n) over the acquired lines k; voxels of
    different columns stay independent. The signal is not blurred.

    Parameters
    ----------
    noise : (2, ..., y, x) float32 array
        White: real and imaginary parts of SD 1; phase encoding along y.
    fraction : float
        Acquired lines over all; 1 returns `noise`.

    Returns
    -------
    (2, ..., y, x) float32 array
        SD 1.
    """
    lines = noise.shape[-2]
    acquired = round(fraction * lines)
    if acquired == lines:
        return noise
    spectrum = fft.fft(noise[0] + 1j * noise[1], axis=-2)
    # In the order of frequencies from -n/2 the first ones are missing.
    missing = fft.fftshift(np.arange(lines))[: lines - acquired]
    spectrum[..., missing, :] = 0
    filtered = fft.ifft(spectrum, axis=-2) * np.float32(np.sqrt(lines / acquired))
    return np.stack([filtered.real, filtered.imag])


def kept_voxels(spec: PhantomSpec, signal: np.ndarray) -> np.ndarray:
    """Return the voxels that are stored as they are; those beyond them are stored as 0.

    Parameters
    ----------
    spec : PhantomSpec
        `zero_background`.
    signal : (z, y, x) array
        Magnitude without noise.

    Returns
    -------
    (z, y, x) bool array
        With `zero_background` the head with what it encloses, and a rim of two voxels.
    """
    if not spec.zero_background:
        return np.ones(signal.shape, dtype=bool)
    typical = np.percentile(signal[signal > 0], 75)
    head = ndimage.binary_fill_holes(signal > _SIGNAL_SHARE * typical)
    return ndimage.binary_dilation(head, iterations=_RIM_VOXELS)
