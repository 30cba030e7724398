"""Change of the field during a run, from the phase that its echoes gain on each other.

With z_e the complex image of echo e, ``w_a = z_(a+1) conj(z_a)`` holds the field and no receive
phase. The phase that the static field of the head gives it is taken off where the head is in that
volume, so that motion through the field does not count as a change. What is left is smoothed and
compared with the same of one volume, carried along with the head:

    h_a(t) = smooth(w_a(t) expected*) smooth(w_a(reference) expected*)*
    change(t) = sum_a |h_a| dt_a angle(h_a) / (2 pi sum_a |h_a| dt_a^2)

An offset that all echoes of a volume share cancels. Changes stay unambiguous up to half a turn
between two echoes, 28 Hz at 18 ms. Values are in Hz and relative to the mean over the run, at
the voxels as acquired; smoothing is in the plane of a slice, because the slices of a volume are
acquired at different times of a breath.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.geometry import affines, interpolation

logger = logging.getLogger(__name__)

_FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
# Where little signal is in reach of the kernel, one this many times wider decides, and where
# that has none, the volume's mean: each counts as a thousandth of the narrower one.
_WIDER = 4.0
_PRIOR = np.float32(1e-3)
_FIXED_POINT_STEPS = 12
_NEAR_AMBIGUOUS = 0.5  # share of the ambiguous change from which on a change is doubted
_SIGN_MARGIN = 1.05  # the opposite sign must fit this much better to count as evidence


@dataclass(frozen=True)
class Static:
    """What is known of a run without its changes.

    Attributes
    ----------
    field_hz : (x, y, z) array
        Off-resonance in Hz at the undistorted places of the reference image.
    mask : (x, y, z) bool array
        Brain on the (distorted) reference image.
    affine : (4, 4) array
        Voxel to world of both, mm.
    direction, readout_s : str, float
        PhaseEncodingDirection and total readout time (s) of the run.
    """

    field_hz: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    direction: str
    readout_s: float

    @property
    def epi(self) -> dict:
        """Direction and readout time, as `resample` takes them."""
        return {"direction": self.direction, "readout_s": self.readout_s}


def at_distorted(static: Static) -> np.ndarray:
    """Return the static field (x, y, z), Hz, where the distorted image shows its signal."""
    points = affines.grid_points(static.field_hz.shape, static.affine)
    hertz = np.asarray(static.field_hz, dtype=np.float32).ravel()
    for _ in range(_FIXED_POINT_STEPS):
        hertz = interpolation.resample_volume(
            static.field_hz, static.affine, points, field_hz=-hertz, **static.epi, order=1
        )
    return hertz.reshape(static.field_hz.shape)


class _Gains:
    """Phase gained from echo to echo, less the expected one, smoothed; volume by volume."""

    def __init__(self, magnitudes, phases, affine, motion, static, echo_times_s, sigma):
        self.magnitudes, self.phases = magnitudes, phases
        self.affine, self.motion, self.static = affine, motion, static
        self.steps_s = np.diff(echo_times_s).astype(np.float32)
        self.sigma = sigma
        self.shape = magnitudes[0].shape[:3]
        self.points = affines.grid_points(self.shape, affine)
        self.distorted_hz = at_distorted(static)

    def read(self, volume, affine, matrix):
        """Interpolate a volume linearly at the voxels of the run, 0 beyond its edge."""
        values = interpolation.resample_volume(volume, affine, self.points, matrix=matrix, order=1)
        return values.reshape(self.shape)

    def smoothed(self, t, sign=1):
        """Return (E - 1, x, y, z) complex64 for volume t; `sign` is that of the static field."""
        back = np.linalg.inv(self.motion[t])
        hertz = self.read(self.distorted_hz, self.static.affine, back)
        inside = self.read(self.static.mask.astype(np.float32), self.static.affine, back) > 0.5
        gains = np.empty((len(self.steps_s), *self.shape), np.complex64)
        for a, step_s in enumerate(self.steps_s):
            weight = self.magnitudes[a][..., t] * self.magnitudes[a + 1][..., t]
            angle = self.phases[a + 1][..., t] - self.phases[a][..., t]
            angle = angle - np.float32(sign * 2.0 * np.pi) * step_s * hertz
            usable = inside & np.isfinite(weight) & np.isfinite(angle)
            weight, angle = np.where(usable, weight, 0), np.where(usable, angle, 0)
            gains[a] = self._spread(weight * np.cos(angle)) + 1j * self._spread(
                weight * np.sin(angle)
            )
        return gains

    def _spread(self, values):
        values = values.astype(np.float32)
        narrow = ndimage.gaussian_filter(values, self.sigma, mode="constant", truncate=3.0)
        wide = ndimage.gaussian_filter(values, _WIDER * self.sigma, mode="constant", truncate=3.0)
        return narrow + _PRIOR * (wide + _PRIOR * values.mean())

    def carried(self, gains, source, t):
        """Return unit phasors of the gains of volume `source` where its voxels are in volume t."""
        move = self.motion[source] @ np.linalg.inv(self.motion[t])
        parts = [
            self.read(gain.real, self.affine, move) + 1j * self.read(gain.imag, self.affine, move)
            for gain in gains
        ]
        moved = np.stack(parts)
        length = np.abs(moved)
        return np.where(length > 0, moved / np.maximum(length, np.float32(1e-30)), 0)


def field_change(
    magnitudes: Sequence[np.ndarray],
    phases: Sequence[np.ndarray],
    affine: np.ndarray,
    *,
    motion: np.ndarray,
    static: Static,
    echo_times_s: Sequence[float],
    fwhm_mm: float,
    slice_axis: int = 2,
) -> np.ndarray:
    """Estimate how the field of a run changes from volume to volume.

    Parameters
    ----------
    magnitudes, phases : sequence of (x, y, z, t) array
        One per echo, by ascending echo time. Phases in radians, with any constant offset that the
        echoes share; they must grow with the frequency, as those of the fieldmap do.
    affine : (4, 4) array
        Voxel to world of the series, mm.
    motion : (t, 4, 4) array
        Point maps from the reference image to each volume, estimated on these distorted volumes.
    static : Static
    echo_times_s : sequence of float
        Seconds.
    fwhm_mm : float
        Smoothing in the plane of the slices.
    slice_axis : int
        Axis along which slices were acquired.

    Returns
    -------
    (x, y, z, t) float32 array
        Hz at the voxels as acquired, relative to the mean over the run; 0 beyond the reach of
        the signal. A volume without signal takes the values of its neighbour in time.

    Raises
    ------
    MetadataError
        Fewer than two echoes, or echo times that do not ascend.
    GridMismatchError
        Images or transforms that differ in shape or number.
    DataError
        No volume holds a signal, or the phase runs against the static field.
    """
    _check(magnitudes, phases, motion, echo_times_s)
    sigma = fwhm_mm * _FWHM_TO_SIGMA / affines.voxel_sizes(affine)
    sigma[slice_axis] = 0.0
    job = _Gains(magnitudes, phases, affine, motion, static, echo_times_s, sigma)
    shape = magnitudes[0].shape
    known = np.array([np.nanmax(magnitudes[0][..., t]) > 0 for t in range(shape[3])])
    if not known.any():
        raise DataError("no volume of the first echo holds a signal: there is no phase in it.")
    source = _stillest(motion, known, static)
    reference = job.smoothed(source)
    _check_sign(reference, job.smoothed(source, sign=-1))
    change = np.zeros(shape, np.float32, order="F")
    squared_s = job.steps_s[:, None, None, None]
    for t in np.flatnonzero(known):
        turned = job.smoothed(t) * np.conj(job.carried(reference, source, t))
        weight = np.abs(turned)
        bottom = 2.0 * np.pi * (weight * squared_s**2).sum(axis=0)
        top = (weight * squared_s * np.angle(turned)).sum(axis=0)
        change[..., t] = np.where(bottom > 0, top / np.maximum(bottom, 1e-30), 0)
    change -= change[..., known].mean(axis=3, keepdims=True)
    for t in np.flatnonzero(~known):
        nearest = np.flatnonzero(known)[np.argmin(np.abs(np.flatnonzero(known) - t))]
        change[..., t] = change[..., nearest]
    return change


def _check(magnitudes, phases, motion, echo_times_s) -> None:
    """Raise when echoes, times and transforms do not go together."""
    if len(magnitudes) < 2 or np.any(np.diff(echo_times_s) <= 0):
        message = (
            f"echo times {list(echo_times_s)} s: a change of the field needs at least two echoes "
            "with ascending times."
        )
        raise MetadataError(message)
    shapes = {np.shape(image) for image in (*magnitudes, *phases)}
    counts = {len(magnitudes), len(phases), len(echo_times_s)}
    if len(shapes) > 1 or len(counts) > 1 or np.shape(motion) != (*(next(iter(shapes))[3:]), 4, 4):
        message = (
            f"{len(magnitudes)} magnitudes and {len(phases)} phases of {len(echo_times_s)} echoes "
            f"with the shapes {sorted(shapes)} and {len(motion)} transforms; needed are a "
            "magnitude and a phase per echo of one shape, and a transform per volume."
        )
        raise GridMismatchError(message)


def _stillest(motion: np.ndarray, known: np.ndarray, static: Static) -> int:
    """Return the volume with a signal that lies nearest to the reference image."""
    points = affines.grid_points(static.mask.shape, static.affine, static.mask)[::50]
    away = [np.linalg.norm(affines.apply(m, points) - points, axis=1).mean() for m in motion]
    return int(np.argmin(np.where(known, away, np.inf)))


def _check_sign(with_field: np.ndarray, against_field: np.ndarray) -> None:
    """Raise when the opposite of the static field leaves the smoother phase."""
    found, opposite = (float(np.abs(gains).sum()) for gains in (with_field, against_field))
    if opposite > _SIGN_MARGIN * found:
        message = (
            "the phase of the echoes runs against the fieldmap: taking off the fieldmap's phase "
            f"leaves a signal of {found:.4g}, taking off its opposite {opposite:.4g}. Either the "
            "fieldmap or the phase of the series has the wrong sign; `sdc: static` does without "
            "the phase of the series."
        )
        raise DataError(message)


def without_change(series: np.ndarray, change_hz: np.ndarray, affine: np.ndarray, **epi):
    """Move the signal of each volume to where the mean field of the run would have put it.

    Head motion is estimated anew on these volumes: on the untouched ones the mean change of the
    field has passed for a translation along the phase encoding, and would be corrected twice.

    Parameters
    ----------
    series, change_hz : (x, y, z, t) array
        One echo, and from `field_change`.
    affine : (4, 4) array
        Voxel to world, mm.
    **epi
        ``direction`` and ``readout_s`` of the series.

    Returns
    -------
    (x, y, z, t) float32 array
    """
    points = affines.grid_points(series.shape[:3], affine)
    out = np.empty(series.shape, np.float32, order="F")
    for t in range(series.shape[3]):
        volume, hertz = series[..., t], change_hz[..., t].ravel()
        moved = interpolation.resample_volume(volume, affine, points, field_hz=hertz, **epi)
        out[..., t] = moved.reshape(volume.shape)
    return out


def doubts(found: Mapping[str, float]) -> list[str]:
    """Return a sentence when a change comes near to half a turn between two echoes.

    Parameters
    ----------
    found : mapping
        From `summary`, of a change that `field_change` estimated.
    """
    if found["LargestMeanChange"] > _NEAR_AMBIGUOUS * found["AmbiguousFrom"]:
        return [f"the field changes so much that its phase may have turned: {found}"]
    return []


def summary(
    change_hz: np.ndarray, affine: np.ndarray, static: Static, echo_times_s: Sequence[float]
) -> dict:
    """Return what is worth knowing of a change of the field.

    Parameters
    ----------
    change_hz, affine, static, echo_times_s
        As in `field_change`, and its result.

    Returns
    -------
    dict
        ``RootMeanSquare`` and ``LargestMeanChange`` (of the mean of a volume) over the brain, and
        ``AmbiguousFrom``, all in Hz; ``MillimetresPerHertz`` along the phase encoding.
    """
    points = affines.grid_points(change_hz.shape[:3], affine)
    brain = interpolation.resample_volume(static.mask, static.affine, points, order=0) > 0
    values = change_hz[brain.reshape(change_hz.shape[:3])]
    means = values.mean(axis=0, dtype=np.float64)
    voxel_mm = affines.voxel_sizes(affine)["ijk".index(static.direction[0])]
    found = {
        "RootMeanSquare": float(np.sqrt(np.mean(np.square(values), dtype=np.float64))),
        "LargestMeanChange": float(np.abs(means).max()),
        "AmbiguousFrom": float(0.5 / np.diff(echo_times_s).max()),
        "MillimetresPerHertz": float(static.readout_s * voxel_mm),
    }
    logger.info("change of the field: %s", found)
    return found
