"""A simulated MP2RAGE: two trains of small excitations after one inversion, pulse by pulse.

Longitudinal magnetisation is followed through the sequence itself, excitation after excitation and
cycle after cycle, until a cycle ends as it began. A transmit field (B1+) that is strongest in the
middle of the head scales every flip angle, and weakens the inversion where it is low; receive
sensitivity and noise act on both trains. `UNIT1` is made of the complex images as a scanner does.
"""

from dataclasses import dataclass

import numpy as np

from mebold.phantom import contrast, physics
from mebold.phantom.spec import PhantomSpec

#: Transmit fields for which the sequence is simulated; those of voxels lie between.
_TRANSMIT = np.linspace(0.4, 1.4, 21)
_CYCLES = 12
#: An adiabatic inversion keeps its efficiency down to this transmit field, and loses it below.
_ADIABATIC = 0.6
_TOP = 4095


@dataclass
class Mp2rage:
    """Stored images, all (x, y, z) uint16 arrays of 0 to 4095, and their truth.

    Attributes
    ----------
    unit1, inv1, inv2 : array
        The combined image, 0 to 4095 for -0.5 to 0.5, and the two magnitudes.
    truth : dict
        ``t1_s``, ``transmit`` (x, y, z), ``head`` (x, y, z) share of the voxel with tissue.
    """

    unit1: np.ndarray
    inv1: np.ndarray
    inv2: np.ndarray
    truth: dict[str, np.ndarray]


def two_signals(spec: PhantomSpec, t1_s: float, transmit: float) -> tuple[float, float]:
    """Follow one kind of tissue until the sequence repeats itself.

    Parameters
    ----------
    spec : PhantomSpec
        The fields that begin with ``mp2rage_``.
    t1_s : float
    transmit : float
        Flip angles over those that were asked for.

    Returns
    -------
    tuple of float
        Transverse magnetisation of the middle excitation of each train, equilibrium is 1; the
        first is negative while the inversion lasts.
    """
    before, after = spec.mp2rage_shots
    step = spec.mp2rage_excitation_s
    angles = np.deg2rad(np.array(spec.mp2rage_flip_angles_deg) * transmit)
    middles = spec.mp2rage_inversion_times_s
    inverted = spec.mp2rage_efficiency * min(1.0, transmit / _ADIABATIC)
    state, clock, seen = 1.0, 0.0, [0.0, 0.0]

    def rest(state: float, duration_s: float) -> float:
        return 1.0 - (1.0 - state) * np.exp(-duration_s / t1_s)

    for _ in range(_CYCLES):
        state, clock = -inverted * state, 0.0
        for train, (angle, middle) in enumerate(zip(angles, middles, strict=True)):
            start = middle - before * step
            state = rest(state, start - clock)
            for shot in range(before + after):
                if shot == before:
                    seen[train] = np.sin(angle) * state
                state = rest(state * np.cos(angle), step)
            clock = start + (before + after) * step
        state = rest(state, spec.mp2rage_repetition_time_s - clock)
    return seen[0], seen[1]


def transmit_field(spec: PhantomSpec, points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return B1+ over its nominal value (N,) at head points: a bright middle, as at 7T."""
    away = (points - centre - np.array([4.0, -6.0, 8.0])) / np.array([75.0, 95.0, 85.0])
    bright = np.exp(-(away**2).sum(axis=1))
    return 1.0 + spec.mp2rage_transmit_spread * (bright - 0.45)


def simulate_mp2rage(
    spec: PhantomSpec,
    tissue: dict[str, np.ndarray],
    points: np.ndarray,
    shape: tuple[int, int, int],
    affine: np.ndarray,
    centre: np.ndarray,
    rng: np.random.Generator,
) -> Mp2rage:
    """Simulate the images of one acquisition.

    Parameters
    ----------
    spec : PhantomSpec
    tissue : dict of (N,) arrays
        Fractions at the voxels, from `Head.tissue`.
    points : (N, 3) array
        Places of the voxels in the head frame, C order.
    shape, affine
        Grid.
    centre : (3,) array
        Of the head.
    rng : Generator
        Of the noise.
    """
    names = list(contrast.DENSITY)
    t1_s = dict(zip(("csf", "gm", "wm", "scalp"), spec.t1_s, strict=True))
    t1_s["skull"] = t1_s["scalp"]
    transmit = transmit_field(spec, points, centre)
    table = {
        name: np.array([two_signals(spec, t1_s[name], field) for field in _TRANSMIT])
        for name in names
    }
    images = [
        sum(
            contrast.DENSITY[name]
            * tissue[name]
            * np.interp(transmit, _TRANSMIT, table[name][:, train])
            for name in names
        ).reshape(shape)
        for train in range(2)
    ]
    receiver = physics.make_receiver(spec, shape, affine, centre)
    carrier = receiver.bias * np.exp(1j * receiver.phase)
    typical = float(np.median(np.abs(images[1])[tissue["wm"].reshape(shape) > 0.9]))
    sigma = typical / spec.mp2rage_snr
    noisy = []
    for image in images:
        white = rng.standard_normal((2, *shape), dtype=np.float32)
        noisy.append(image * carrier + sigma * (white[0] + 1j * white[1]))
    first, second = noisy
    ratio = (first * second.conj()).real / (np.abs(first) ** 2 + np.abs(second) ** 2)
    scale = 0.6 * _TOP / max(float(np.percentile(np.abs(second), 99.5)), 1e-9)
    density = sum(contrast.DENSITY[name] * tissue[name] for name in names)
    rate = sum(contrast.DENSITY[name] * tissue[name] / t1_s[name] for name in names)
    return Mp2rage(
        unit1=_stored(_TOP * (ratio + 0.5)),
        inv1=_stored(scale * np.abs(first)),
        inv2=_stored(scale * np.abs(second)),
        truth={
            "t1_s": (density / np.maximum(rate, 1e-9)).reshape(shape).astype(np.float32),
            "transmit": transmit.reshape(shape).astype(np.float32),
            "head": sum(tissue[name] for name in names).reshape(shape).astype(np.float32),
        },
    )


def _stored(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, _TOP).astype(np.int16)
