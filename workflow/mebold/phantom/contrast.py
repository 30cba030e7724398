"""Contrast: how much signal each tissue gives to each kind of image at echo time zero.

A spoiled gradient echo reads the magnetisation M that its excitations leave. With E1 =
exp(-TR / T1), flip angle a and full magnetisation M = 1 before the first excitation,

    M[n + 1] = 1 - E1 + E1 cos(a) M[n],

which tends to the steady state (1 - E1) / (1 - E1 cos(a)) (Ernst and Anderson 1966). Signal is
density x sin(a) x M. Decay (T2*) is not here: it depends on the echo time.
"""

import numpy as np

from mebold.phantom import nuclei
from mebold.phantom.spec import PhantomSpec

#: Signal of fully relaxed tissue over that of grey matter; that of scalp after fat suppression.
DENSITY = {"csf": 1.30, "gm": 1.0, "wm": 0.80, "scalp": 0.25, "skull": 0.03}


def steady_state(t1_s: float, repetition_time_s: float, flip_angle_deg: float) -> float:
    """Return the longitudinal magnetisation before an excitation, after very many.

    Parameters
    ----------
    t1_s, repetition_time_s : float
        Seconds.
    flip_angle_deg : float

    Returns
    -------
    float
        Share of the equilibrium magnetisation.
    """
    relaxed = np.exp(-repetition_time_s / t1_s)
    return float((1 - relaxed) / (1 - relaxed * np.cos(np.deg2rad(flip_angle_deg))))


def after_excitations(
    number: int, t1_s: float, repetition_time_s: float, flip_angle_deg: float
) -> float:
    """Return the longitudinal magnetisation before an excitation that others came before.

    Parameters
    ----------
    number : int
        Excitations since full relaxation; 0 gives 1.
    t1_s, repetition_time_s : float
        Seconds.
    flip_angle_deg : float

    Returns
    -------
    float
        Share of the equilibrium magnetisation.
    """
    steady = steady_state(t1_s, repetition_time_s, flip_angle_deg)
    kept = np.exp(-repetition_time_s / t1_s) * np.cos(np.deg2rad(flip_angle_deg))
    return float(steady + (1 - steady) * kept**number)


def series_weights(spec: PhantomSpec, volume: int | None = None) -> dict[str, float]:
    """Return the signal of each tissue at TE 0 in one volume of an EPI series.

    Parameters
    ----------
    spec : PhantomSpec
        `saturation`, `t1_s`, `repetition_time_s`, `flip_angle_deg`, `non_steady_volumes`.
    volume : int, optional
        0-based; the steady state by default. The first `non_steady_volumes` approach it.

    Returns
    -------
    dict of float
        Grey matter is 1 without `saturation`.
    """
    protocol = (spec.repetition_time_s, spec.flip_angle_deg)
    if volume is None or volume >= spec.non_steady_volumes:
        return _weights(spec, lambda t1: steady_state(t1, *protocol), spec.flip_angle_deg)
    return _weights(spec, lambda t1: after_excitations(volume, t1, *protocol), spec.flip_angle_deg)


def reference_weights(spec: PhantomSpec) -> dict[str, float]:
    """Return the signal of each tissue at TE 0 in the SBRef: one excitation of relaxed spins."""
    return _weights(spec, lambda _: 1.0, spec.flip_angle_deg)


def gre_weights(spec: PhantomSpec) -> dict[str, float]:
    """Return the signal of each tissue at TE 0 in the GRE of a field map, in its steady state."""
    protocol = (spec.gre_repetition_time_s, spec.gre_flip_angle_deg)
    return _weights(spec, lambda t1: steady_state(t1, *protocol), spec.gre_flip_angle_deg)


def _weights(spec, magnetisation, flip_angle_deg: float) -> dict[str, float]:
    """Return density x sin(flip angle) x magnetisation of each tissue, or density alone."""
    if not spec.saturation:
        return DENSITY
    t1_s = dict(zip(("csf", "gm", "wm", "scalp"), spec.t1_s, strict=True))
    t1_s["skull"] = t1_s["scalp"]
    excited = float(np.sin(np.deg2rad(flip_angle_deg)))
    return {name: DENSITY[name] * excited * magnetisation(t1_s[name]) for name in DENSITY}


def mixture(tissue: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    """Return the signal of voxels that hold several tissues.

    Parameters
    ----------
    tissue : dict of arrays
        Fractions; those named in `weights` are used.
    weights : dict of float
        Signal of each tissue.

    Returns
    -------
    float32 array
    """
    return sum(weight * tissue[name] for name, weight in weights.items()).astype(np.float32)


def inversion_recovery(
    t1_s: float, efficiency: np.ndarray | float, inversion_time_s: float, repetition_time_s: float
) -> np.ndarray | float:
    """Return the longitudinal magnetisation at the inversion time, in the steady state.

    Parameters
    ----------
    t1_s : float
        Seconds.
    efficiency : array or float
        Share of the magnetisation that the inversion turns round: 1 is perfect.
    inversion_time_s, repetition_time_s : float
        Between inversion and the middle of the readout, and between inversions. The readout
        itself leaves the magnetisation alone: its flip angles are small.

    Returns
    -------
    array or float
        Share of the equilibrium; negative before the zero crossing.
    """
    late, early = np.exp(-repetition_time_s / t1_s), np.exp(-inversion_time_s / t1_s)
    return 1 - (1 + efficiency) * early / (1 + efficiency * late)


def t1w_image(
    spec: PhantomSpec, tissue: dict[str, np.ndarray], efficiency: np.ndarray
) -> np.ndarray:
    """Return the signal of a magnetisation-prepared T1w image (MPRAGE); white matter about 1.

    Parameters
    ----------
    spec : PhantomSpec
        `t1w_times_s`, `t1_s` and `t1_deep_s`.
    tissue : dict of (N,) arrays
        Fractions; ``gm`` holds the nuclei too.
    efficiency : (N,) array
        Of the inversion.

    Returns
    -------
    (N,) float32 array
        Magnitude: parts of a voxel before and after their zero crossing cancel.
    """
    inversion_s, repetition_s = spec.t1w_times_s

    def signal(name: str, t1_s: float) -> np.ndarray:
        density = {"scalp": 0.4, "deep": 0.9}.get(name) or DENSITY[name]  # fat is not suppressed
        return density * inversion_recovery(t1_s, efficiency, inversion_s, repetition_s)

    cortex = tissue["gm"] - sum(tissue[name] for name in nuclei.NAMES)
    times = dict(zip(("csf", "gm", "wm", "scalp"), spec.t1_s, strict=True))
    total = cortex * signal("gm", times["gm"])
    for name, t1_s in zip(nuclei.NAMES, spec.t1_deep_s, strict=True):
        total += tissue[name] * signal("deep", t1_s)
    for name in ("wm", "csf", "scalp"):
        total += tissue[name] * signal(name, times[name])
    total += tissue["skull"] * signal("skull", times["scalp"])
    perfect = DENSITY["wm"] * inversion_recovery(times["wm"], 1.0, inversion_s, repetition_s)
    return np.abs(total / perfect).astype(np.float32)


def inversion_efficiency(spec: PhantomSpec, offset: np.ndarray) -> np.ndarray:
    """Return how much of the magnetisation the inversion turns round at points of the head.

    The transmit field of 7T is weak in the temporal lobes and beside the cerebellum. That changes
    the contrast, which no division by a bias mends.

    Parameters
    ----------
    spec : PhantomSpec
        `inversion_loss`.
    offset : (N, 3) array
        Mm from the centre of the head.

    Returns
    -------
    (N,) array
    """
    x, _, z = offset.T
    weak = np.exp(-(((np.abs(x) - 60) / 28) ** 2 + ((z + 35) / 30) ** 2) / 2)
    return 1 - spec.inversion_loss * weak
