"""The receive sensitivity of an array coil: loops on a helmet, combined by sum of squares."""

import numpy as np

_HELMET_MM = np.array([110.0, 130.0, 120.0])  # half axes
_OPEN_BELOW = -0.35  # height, in half axes, under which the helmet has no loop
_LOOP_MM = 40.0  # radius
_MIDDLE = 0.5  # sensitivity in the middle of the coil: in most of the brain it is then about 1


def loops(number: int) -> np.ndarray:
    """Return the centres (N, 3) of loops spread evenly over a helmet, mm from its middle."""
    step = np.arange(number) + 0.5
    height = 1 - (1 - _OPEN_BELOW) * step / number
    azimuth = np.pi * (1 + np.sqrt(5)) * step
    level = np.sqrt(1 - height**2)
    return _HELMET_MM * np.stack([level * np.cos(azimuth), level * np.sin(azimuth), height], axis=1)


def sensitivity(points: np.ndarray, number: int) -> np.ndarray:
    """Return the combined sensitivity of an array coil.

    Parameters
    ----------
    points : (N, 3) array
        Scanner mm from the middle of the coil.
    number : int
        Loops. Each has the field of a current loop on its axis, (1 + d^2 / a^2)^-1.5, at the
        distance d and with the radius a.

    Returns
    -------
    (N,) float64 array
        0.5 in the middle of the coil.
    """
    return _MIDDLE * _combined(points, number) / _combined(np.zeros((1, 3)), number)


def _combined(points: np.ndarray, number: int) -> np.ndarray:
    """Return the root of the sum of squares of all loops."""
    power = np.zeros(len(points))
    for centre in loops(number):
        power += (1 + ((points - centre) ** 2).sum(axis=1) / _LOOP_MM**2) ** -3
    return np.sqrt(power)
