"""T1 from an MP2RAGE: what the combined image U = S1 S2 / (S1^2 + S2^2) is for every T1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import MetadataError

#: T1 is looked up between these, s; U falls with T1 in part of it only.
_T1_S = (0.05, 6.0)
_STEPS = 2000


@dataclass(frozen=True)
class Protocol:
    """What the values of an MP2RAGE follow from.

    Attributes
    ----------
    repetition_time_s : float
        From inversion to inversion.
    excitation_s : float
        From excitation to excitation within a train.
    inversion_times_s : pair of float
        From the inversion to the middle excitation of each train.
    flip_angles_deg : pair of float
    shots : pair of int
        Excitations of a train before its middle one, and from that on.
    efficiency : float
        Of the inversion, 0 to 1.
    """

    repetition_time_s: float
    excitation_s: float
    inversion_times_s: tuple[float, float]
    flip_angles_deg: tuple[float, float]
    shots: tuple[int, int]
    efficiency: float

    def __post_init__(self) -> None:
        """Refuse a sequence in which trains overlap."""
        before, after = (n * self.excitation_s for n in self.shots)
        first, second = self.inversion_times_s
        gaps = {
            "before the first train": first - before,
            "between the trains": second - before - first - after,
            "after the second train": self.repetition_time_s - second - after,
        }
        for where, gap in gaps.items():
            if gap < 0:
                message = (
                    f"the sequence does not fit together: {-gap:.3f} s too short {where} "
                    f"(InversionTime {first:g} and {second:g} s, RepetitionTimePreparation "
                    f"{self.repetition_time_s:g} s, NumberShots {self.shots[0]} + {self.shots[1]} "
                    f"every {self.excitation_s:g} s). Times are in seconds, NumberShots counts the "
                    "excitations of one train."
                )
                raise MetadataError(message)


def signals(protocol: Protocol, t1_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the signals of the two trains in the steady state, equilibrium is 1.

    Every part of the sequence takes longitudinal magnetisation m to a m + b. A cycle is such a map
    itself, and its fixed point b / (1 - a) the steady state.

    Parameters
    ----------
    protocol : Protocol
    t1_s : (N,) array

    References
    ----------
    Marques et al. 2010, NeuroImage 49:1271.
    """
    t1_s = np.asarray(t1_s, dtype=np.float64)
    before, after = protocol.shots
    step = protocol.excitation_s
    first, second = protocol.inversion_times_s
    angles = np.deg2rad(protocol.flip_angles_deg)

    def rest(duration_s: float) -> tuple[np.ndarray, np.ndarray]:
        kept = np.exp(-duration_s / t1_s)
        return kept, 1.0 - kept

    def train(angle: float, count: int) -> tuple[np.ndarray, np.ndarray]:
        kept = np.exp(-step / t1_s)
        factor = kept * np.cos(angle)
        power = factor**count
        return power, (1.0 - kept) * (1.0 - power) / (1.0 - factor)

    parts = [
        (np.full_like(t1_s, -protocol.efficiency), np.zeros_like(t1_s)),
        rest(first - before * step),
        train(angles[0], before),
        train(angles[0], after),
        rest(second - before * step - first - after * step),
        train(angles[1], before),
        train(angles[1], after),
        rest(protocol.repetition_time_s - second - after * step),
    ]
    slope, offset = np.ones_like(t1_s), np.zeros_like(t1_s)
    for a, b in parts:
        slope, offset = a * slope, a * offset + b
    state = offset / (1.0 - slope)
    seen = []
    for number, (a, b) in enumerate(parts):
        if number in (3, 6):  # the middle excitations
            seen.append(np.sin(angles[len(seen)]) * state)
        state = a * state + b
    return seen[0], seen[1]


def lookup(protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Return U and T1 (s) where each U has one T1: U falling with T1."""
    t1_s = np.geomspace(*_T1_S, _STEPS)
    first, second = signals(protocol, t1_s)
    unit = first * second / (first**2 + second**2)
    top = int(np.argmax(unit))
    bottom = top + int(np.argmin(unit[top:]))
    return unit[top : bottom + 1], t1_s[top : bottom + 1]


def t1_map(unit: np.ndarray, head: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Look T1 up in the combined image.

    Parameters
    ----------
    unit : (x, y, z) array
        As the scanner made it, -0.5 to 0.5: a cleaned one is biased.
    head : (x, y, z) bool array
    protocol : Protocol

    Returns
    -------
    (x, y, z) float32 array
        Seconds; 0 outside the head. Values beyond the branch take its end. The transmit field is
        taken as nominal.

    References
    ----------
    Marques et al. 2010, NeuroImage 49:1271.
    """
    values, t1_s = lookup(protocol)
    found = np.interp(unit, values[::-1], t1_s[::-1])
    return np.where(head, found, 0.0).astype(np.float32)


def protocol_of(
    images: Sequence[Mapping[str, object]], *, efficiency: float
) -> tuple[Protocol | None, str]:
    """Return the protocol that two sidecars tell, or the sentence that says what they lack.

    Parameters
    ----------
    images : pair of mapping
        First and second inversion: ``path``, ``repetition_time``,
        ``repetition_time_preparation``, ``repetition_time_excitation``, ``inversion_time`` (s),
        ``flip_angle`` (degrees), ``number_shots`` (a number, or those before and from the middle
        excitation on).
    efficiency : float

    Returns
    -------
    protocol : Protocol or None
    note : str
        What was missing, or what was taken for what.
    """
    first = images[0]
    second_inversion = images[1].get("inversion_time")
    repetition, notes = first.get("repetition_time_preparation"), []
    other = first.get("repetition_time")
    # A time between excitations is shorter than the second inversion time, always.
    if repetition is None and other and second_inversion and other > second_inversion:
        repetition = other
        notes.append("RepetitionTime is taken as the time from inversion to inversion")
    wanted = {
        "RepetitionTimePreparation": [repetition],
        "RepetitionTimeExcitation": [first.get("repetition_time_excitation")],
        "NumberShots": [first.get("number_shots")],
        "InversionTime": [image.get("inversion_time") for image in images],
        "FlipAngle": [image.get("flip_angle") for image in images],
    }
    missing = [key for key, values in wanted.items() if any(v is None for v in values)]
    if missing:
        where = ", ".join(str(image.get("path")) for image in images)
        return None, f"no T1 map: the sidecars of {where} lack {', '.join(missing)}"
    shots = wanted["NumberShots"][0]
    shots = shots if isinstance(shots, Sequence) else [shots]
    if len(shots) == 1:
        half = int(shots[0]) // 2
        shots = [half, int(shots[0]) - half]
        notes.append("one NumberShots: the middle excitation is taken to lie halfway")
    protocol = Protocol(
        repetition_time_s=float(repetition),
        excitation_s=float(wanted["RepetitionTimeExcitation"][0]),
        inversion_times_s=tuple(map(float, wanted["InversionTime"])),
        flip_angles_deg=tuple(map(float, wanted["FlipAngle"])),
        shots=(int(shots[0]), int(shots[1])),
        efficiency=efficiency,
    )
    return protocol, "; ".join(notes)
