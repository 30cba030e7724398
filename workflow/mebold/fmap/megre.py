"""B0 in Hz from the phase of a multi-echo gradient echo."""

import logging
from collections.abc import Sequence

import numpy as np

from mebold.errors import MetadataError
from mebold.fmap import gre

logger = logging.getLogger(__name__)
#: A step from odd to even echoes above this is that of a bipolar readout, rad.
_BIPOLAR_RAD = 0.3


def to_hz(
    magnitudes: Sequence[np.ndarray],
    phases_rad: Sequence[np.ndarray],
    te_s: Sequence[float],
    *,
    affine: np.ndarray,
    curvature: float,
    steepest_hz_mm: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the phase of several echoes into a field map.

    The two echoes that lie closest together tell the field without doubt over the widest range.
    What it foretells for the others says how often their phase has gone round; then a line is
    fitted to all phases, each with the square of its magnitude as weight, and an offset that all
    echoes share (the phase of the coils).

    Parameters
    ----------
    magnitudes, phases_rad : sequence of (x, y, z) array
        By ascending echo time; radians, wrapped, any offset.
    te_s : sequence of float
        Seconds.
    affine, curvature, steepest_hz_mm
        See `gre.phasediff_to_hz`.

    Returns
    -------
    field : (x, y, z) float32 array
        Hz in every voxel.
    magnitude : (x, y, z) float32 array
        Root of the mean square of the echoes.

    Raises
    ------
    MetadataError
        For fewer than two echoes, or times that do not ascend or are not in seconds.
    """
    times = np.asarray(te_s, dtype=np.float64)
    if times.size < 2 or times.size != len(phases_rad) or not (np.diff(times) > 0).all():
        message = (
            f"a field needs two or more echoes with ascending EchoTime, got {list(te_s)} s for "
            f"{len(phases_rad)} phase images."
        )
        raise MetadataError(message)
    amplitudes = [np.nan_to_num(np.asarray(m, dtype=np.float64)) for m in magnitudes]
    echoes = [
        m * np.exp(1j * np.nan_to_num(np.asarray(p, dtype=np.float64)))
        for m, p in zip(amplitudes, phases_rad, strict=True)
    ]
    magnitude = np.sqrt(np.mean(np.square(amplitudes), axis=0))
    core = gre.magnitude_mask(magnitude, affine)
    options = {"affine": affine, "curvature": curvature, "steepest_hz_mm": steepest_hz_mm}
    first = int(np.argmin(np.diff(times)))
    delta_s = float(times[first + 1] - times[first])
    difference = np.angle(echoes[first + 1] * echoes[first].conj())
    pair = np.sqrt(amplitudes[first] * amplitudes[first + 1])
    rough = gre.phasediff_to_hz(difference, pair, core, delta_te_s=delta_s, **options)
    fine = _all_echoes(echoes, times, rough)
    _tell_bipolar(echoes, times, core)
    # The field is as a phase difference again, of less noise, and takes the same way.
    phase = 2.0 * np.pi * delta_s * fine
    field = gre.phasediff_to_hz(phase, magnitude, core, delta_te_s=delta_s, **options)
    return field, magnitude.astype(np.float32)


def _all_echoes(echoes: list[np.ndarray], times: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """Return the slope of the phase over all echoes, Hz, where `rough` tells the turns.

    The phase that is left after the rough field is taken off is small, and the same in all echoes
    but for noise and for what the rough field is wrong by.
    """
    left = [e * np.exp(-2j * np.pi * rough * t) for e, t in zip(echoes, times, strict=True)]
    # Relative to the common offset, that of the sum, no phase is near a turn.
    common = sum(left)
    common = common / np.maximum(np.abs(common), 1e-30)
    phases = np.stack([np.angle(e * common.conj()) for e in left])
    weights = np.stack([np.abs(e) ** 2 for e in echoes])
    total = np.maximum(weights.sum(axis=0), 1e-30)
    x = times[:, None, None, None]
    mean_x, mean_y = ((weights * value).sum(axis=0) / total for value in (x, phases))
    spread = np.maximum((weights * (x - mean_x) ** 2).sum(axis=0), 1e-30)
    slope = (weights * (x - mean_x) * (phases - mean_y)).sum(axis=0) / spread
    return rough + slope / (2.0 * np.pi)


def _tell_bipolar(echoes: list[np.ndarray], times: np.ndarray, core: np.ndarray) -> None:
    """Warn where odd and even echoes differ by a phase of their own: readouts to and fro."""
    if times.size < 3 or not np.isclose(times[1] - times[0], times[2] - times[1], rtol=0.01):
        return
    bend = echoes[0] * echoes[2] * np.conj(echoes[1]) ** 2
    step = float(np.median(np.abs(np.angle(bend[core])))) / 2.0
    if step > _BIPOLAR_RAD:
        logger.warning(
            "odd and even echoes differ by a phase of %.2f rad in the median: the readouts seem to "
            "go to and fro (bipolar), and the field is wrong by what this makes of it",
            step,
        )
