"""A simulated multi-echo gradient echo: decay and phase of what a voxel holds, summed over parts.

A voxel is cut into eight parts that have tissue, decay and field of their own: their sum dephases
where the field is uneven, and decays with more than one rate where tissues meet.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mebold.geometry import affines
from mebold.phantom import contrast, physics
from mebold.phantom.anatomy import Head
from mebold.phantom.spec import PhantomSpec

_TOP = 4095
_FIELD_SHIFT_HZ = 11.0  # what the shim left uniformly
_PURE = 0.95


@dataclass
class Megre:
    """Stored echoes, (E, x, y, z) int16, and their truth.

    Attributes
    ----------
    magnitude, phase : array
        0 to 4095; of the phase these are -pi to pi.
    truth : dict
        ``affine``, and (x, y, z) maps: ``t2star_s`` of the mean rate, ``field_hz``, ``brain`` and
        ``pure`` (bool: a single tissue of the brain).
    """

    magnitude: np.ndarray
    phase: np.ndarray
    truth: dict[str, np.ndarray]


def simulate_megre(
    spec: PhantomSpec,
    head: Head,
    shape: tuple[int, int, int],
    affine: np.ndarray,
    rng: np.random.Generator,
) -> Megre:
    """Simulate the echoes of one acquisition, undistorted.

    Parameters
    ----------
    spec : PhantomSpec
        ``megre_*``, ``t2star_s``.
    head : Head
    shape, affine
        Grid in the head frame.
    rng : Generator
        Of the noise.
    """
    times = np.array(spec.megre_echo_times_s)
    rates = dict(zip(("csf", "gm", "wm", "scalp"), 1 / np.array(spec.t2star_s), strict=True))
    rates["skull"] = rates["scalp"]
    n = int(np.prod(shape))
    echoes = np.zeros((times.size, n), dtype=np.complex128)
    weight, rate, field = (np.zeros(n) for _ in range(3))
    least, brain = np.full(n, np.inf), np.zeros(n)
    centres = affines.grid_points(shape, affine)
    for corner in product((-0.25, 0.25), repeat=3):
        points = centres + affine[:3, :3] @ np.array(corner)
        tissue = head.tissue(points)
        hertz = head.field_hz(points) + _FIELD_SHIFT_HZ
        extra = 0.0 if spec.dephasing else head.dropout_rate(points)
        for name, density in contrast.DENSITY.items():
            amount = density * tissue[name] / 8
            decay = rates[name] + extra
            weight += amount
            rate += amount * decay
            for echo, time in enumerate(times):
                echoes[echo] += amount * np.exp((2j * np.pi * hertz - decay) * time)
        field += hertz / 8
        brain += tissue["brain"] / 8
        purest = np.max([tissue[name] for name in ("gm", "wm")], axis=0)
        least = np.minimum(least, purest)
    receiver = physics.make_receiver(spec, shape, affine, head.centre)
    carrier = receiver.bias * np.exp(1j * receiver.phase)
    signal = echoes.reshape(-1, *shape) * carrier
    white = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    signal = signal + (white[0] + 1j * white[1]) / spec.megre_snr
    scale = 0.7 * _TOP / float(np.percentile(np.abs(signal[0]), 99.9))
    code = np.floor((np.angle(signal) + np.pi) * (2048 / np.pi) + 0.5).astype(np.int32) & _TOP
    truth = {
        "affine": affine,
        "t2star_s": (weight / np.maximum(rate, 1e-9)).reshape(shape).astype(np.float32),
        "field_hz": field.reshape(shape).astype(np.float32),
        "brain": brain.reshape(shape).astype(np.float32),
        "pure": (least > _PURE).reshape(shape),
    }
    magnitude = np.clip(np.round(scale * np.abs(signal)), 0, _TOP).astype(np.int16)
    return Megre(magnitude, code.astype(np.int16), truth)
