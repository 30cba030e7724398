"""T2*, R2* and S0 of a multi-echo gradient echo, and its echoes as one image.

Unlike a BOLD series such an image has many echoes, no repetitions, and magnitudes of any scale: the
fit knows no smallest signal, weighs echoes by what they tell, and takes off what noise adds to a
magnitude.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError
from mebold.geometry import masks
from mebold.multiecho.decay import check_echo_times

#: Fits are repeated with weights from the fit before.
_ROUNDS = 4
#: T2* beyond these cannot be told by echoes of a few ms to tens of ms, s.
_LIMITS_S = (0.001, 0.5)
#: An echo below this many standard deviations of noise is not used.
_LEAST_SNR = 3.0
_FEWEST_ECHOES = 3
#: Share of the field of view that air fills at least, where there is any.
_LEAST_AIR = 0.05
_FOURTH = 4


@dataclass(frozen=True)
class Decay:
    """Maps of a fit, (x, y, z) float32; 0 where there is no object.

    Attributes
    ----------
    t2star, r2star : array
        Seconds and 1/s.
    s0 : array
        Signal at echo time 0, in units of the images.
    combined : array
        Echoes weighted by echo time and decay, TE exp(-TE / T2*), whose weights sum to 1.
    n_echoes : int16 array
        Echoes that the fit rests on; 0 where there is no fit.
    noise : float
        Standard deviation of the noise of real and imaginary part, in units of the images; 0 where
        it is not known.
    """

    t2star: np.ndarray
    r2star: np.ndarray
    s0: np.ndarray
    combined: np.ndarray
    n_echoes: np.ndarray
    noise: float


def fit(echoes: Sequence[np.ndarray], te_s: Sequence[float]) -> Decay:
    """Fit S0 exp(-TE / T2*) to the magnitudes of a multi-echo gradient echo.

    Weighted least squares of the logarithm, with the squared signal of the fit before as weights
    (what the logarithm does to the noise), and the echoes above the noise. Noise adds its variance
    to the square of a magnitude (Rice): it is taken off first.

    Parameters
    ----------
    echoes : sequence of (x, y, z) array
        Magnitudes by ascending echo time, any scale.
    te_s : sequence of float
        Seconds.

    Returns
    -------
    Decay

    Raises
    ------
    MetadataError
        For echo times that do not fit the data or are not in seconds.
    ConfigError
        For fewer than three echoes.
    DataError
        Without signal.

    References
    ----------
    Gudbjartsson and Patz 1995, Magnetic Resonance in Medicine 34:910 (the bias of magnitudes).
    """
    times = check_echo_times(te_s, len(echoes), minimum=_FEWEST_ECHOES)
    signal = np.stack([np.nan_to_num(np.asarray(e, dtype=np.float64)) for e in echoes])
    inside = masks.foreground_mask(signal[0])
    noise = noise_level(signal[-1], inside)
    values = signal[:, inside]
    if not (values[0] > 0).any():
        raise DataError("the first echo holds no positive value: there is no signal to fit.")
    true = np.sqrt(np.maximum(values**2 - 2.0 * noise**2, 0.0))
    # Leading echoes only: a signal that has sunk into the noise does not come back.
    good = np.logical_and.accumulate(true > _LEAST_SNR * noise, axis=0) & (true > 0)
    count = good.sum(axis=0)
    logs = np.log(np.where(good, true, 1.0))
    weights = np.where(good, true**2, 0.0)
    for _ in range(_ROUNDS):
        rate, offset = _line(logs, times, weights)
        weights = np.where(good, np.exp(2.0 * (offset - rate * times[:, None])), 0.0)
    fitted = count >= 2
    rate = np.clip(np.where(fitted, rate, 0.0), 1.0 / _LIMITS_S[1], 1.0 / _LIMITS_S[0])
    total = weights.sum(axis=0)
    # With the rate at a limit the intercept is that of the limited line.
    middle = (weights * (logs + rate * times[:, None])).sum(axis=0)
    s0 = np.exp(middle / np.where(total > 0, total, 1.0))
    share = times[:, None] * np.exp(-times[:, None] * rate)
    combined = (share * values).sum(axis=0) / share.sum(axis=0)

    def spread(found: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        full = np.zeros(inside.shape, dtype=dtype)
        full[inside] = found
        return full

    return Decay(
        t2star=spread(np.where(fitted, 1.0 / rate, 0.0)),
        r2star=spread(np.where(fitted, rate, 0.0)),
        s0=spread(np.where(fitted, s0, 0.0)),
        combined=spread(combined),
        n_echoes=spread(np.where(fitted, count, 0), np.int16),
        noise=noise,
    )


def noise_level(magnitude: np.ndarray, inside: np.ndarray) -> float:
    """Return the noise (one SD of real and imaginary part) of a magnitude.

    The lower of two levels: that of what is taken for air, and that of fourth differences in the
    object. A block of brain has no air, and what is dark in it would pass for noise.
    """
    found = []
    air = magnitude[~inside & (magnitude > 0)]
    if air.size > _LEAST_AIR * magnitude.size:
        # Airways, skull and ghosts are brighter than air: the lower quartile of a Rayleigh
        # distribution, sqrt(2 ln(4/3)) standard deviations, hardly knows of them.
        found.append(float(np.percentile(air, 25.0) / np.sqrt(2.0 * np.log(4.0 / 3.0))))
    for axis, length in enumerate(magnitude.shape):
        if length <= _FOURTH:
            continue
        whole = np.all(
            [np.take(inside, range(i, length - 4 + i), axis=axis) for i in range(5)], axis=0
        )
        rough = np.abs(np.diff(magnitude, n=4, axis=axis))[whole]
        if rough.size:
            # 70 is the sum of the squares of 1, -4, 6, -4, 1.
            found.append(float(1.4826 * np.median(rough) / np.sqrt(70.0)))
    return min(found, default=0.0)


def _line(
    logs: np.ndarray, times: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rate (1/s) and intercept (V,) of weighted lines through (E, V) logarithms."""
    x = times[:, None]
    total = weights.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    mean_x, mean_y = ((weights * value).sum(axis=0) / safe for value in (x, logs))
    spread = (weights * (x - mean_x) ** 2).sum(axis=0)
    slope = (weights * (x - mean_x) * (logs - mean_y)).sum(axis=0)
    slope = slope / np.where(spread > 0, spread, 1.0)
    return -slope, mean_y - slope * mean_x
