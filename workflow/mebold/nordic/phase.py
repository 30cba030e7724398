"""Complex series from magnitude and phase, with the slowly varying phase of each slice removed.

Real and imaginary part are separate float32 arrays throughout. The low-pass filter is a circular
convolution whose kernel is a real function times a linear phase ramp, because the filter window
sits beside the zero frequency. The ramp is taken out of the phase first, and the rest of the
filter is two products with real matrices.
"""

import math
import warnings
from dataclasses import dataclass, field

import numpy as np

from mebold.errors import DataError

_CHUNK_BYTES = 2**19  # one float32 plane of a block of volumes: fits the cache, bounds the memory
_LARGEST_PHASE_STEP = 1.0  # radians between data and low-pass phase, for temporal_phase 2 and 3
_TURNS = (1.0, 2.0, 2 * math.pi, 200.0, 360.0, 2000 * math.pi, *(2.0**n for n in range(12, 17)))


def full_turn_range(phase: np.ndarray) -> tuple[float, float]:
    """Smallest and largest finite phase, taken as -pi and +pi; warn when that is doubtful.

    Parameters
    ----------
    phase : (x, y, z, t) array
        Any unit.

    Returns
    -------
    low, high : float

    Raises
    ------
    DataError
        When the phase is constant or never finite.
    """
    low, high = float(np.min(phase)), float(np.max(phase))
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = np.isfinite(phase)
        low = float(np.min(phase, where=finite, initial=math.inf))
        high = float(np.max(phase, where=finite, initial=-math.inf))
    if not low < high:
        raise DataError(
            f"The phase is {low:g} everywhere; accepted are phase images that span a full turn."
        )
    span = high - low
    if not any(0.99 * turn - 1e-6 <= span + 1e-3 * turn <= 1.01 * turn for turn in _TURNS):
        warnings.warn(
            f"The phase runs from {low:g} to {high:g}, which is no usual full turn (2 pi, 360, "
            "4095, 8190 ...); it is stretched to one. Give phase_range=(low, high), the values at "
            "-pi and +pi, or phase_range='radians' when it is in radians but masked or unwrapped.",
            stacklevel=4,
        )
    return low, high


def window(n: int, exponent: float) -> np.ndarray:
    """Weights of the low-pass filter for the bins 0..n-1 of an unshifted Fourier transform.

    A Hann window with zeros at both ends, raised to `exponent` and centred half a bin (even n)
    or one bin (odd n) below frequency zero, as in the reference program.
    """
    if n == 1:
        return np.ones(1)
    bins = (np.arange(n) + (n + 1) // 2) % n
    return (0.5 * (1 - np.cos(2 * np.pi * bins / (n - 1)))) ** exponent


def low_pass_factors(n: int, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """Real matrix and phase ramp that together make up the low-pass filter along one axis.

    Parameters
    ----------
    n : int
    exponent : float

    Returns
    -------
    matrix : (n, n) float32
    ramp : (n,) float64
        Radians. The filter is ``exp(1j*ramp) * (matrix @ (exp(-1j*ramp) * data))``.
    """
    weights = window(n, exponent)
    offset = np.arange(n)
    kernel = np.exp(-2j * np.pi * np.outer(offset, offset) / n) @ weights / n
    shift = 0.0 if n == 1 else (0.5 if n % 2 == 0 else 1.0)
    ramp = 2 * np.pi * shift * offset / n
    circulant = kernel[(offset[:, None] - offset[None, :]) % n]
    matrix = circulant * np.exp(-1j * ramp)[:, None] * np.exp(1j * ramp)[None, :]
    return np.ascontiguousarray(matrix.real, dtype=np.float32), ramp


@dataclass
class SliceModel:
    """Conversion of slices between measured data and stabilised complex series.

    Attributes
    ----------
    magnitude, phase : (x, y, z, t) array
        As measured; `phase` None for magnitude-only data.
    scale : float
        Divisor of the magnitude.
    phase_range : (low, high) or None
        Phase values at -pi and +pi.
    temporal_phase : int
        0 to 3, see `mebold.nordic.denoise.nordic`.
    exponent : float
        Of the filter window.
    compat : bool
        Reproduce the sign flips that a negative zero causes in the reference program.
    n_noise : int
        Noise volumes at the end, which do not enter the temporal mean.
    """

    magnitude: np.ndarray
    phase: np.ndarray | None
    scale: float
    phase_range: tuple | None
    temporal_phase: int
    exponent: float
    compat: bool
    n_noise: int = 0
    _filters: tuple = field(init=False, repr=False)

    def __post_init__(self):
        nx, ny = self.magnitude.shape[:2]
        matrix_x, ramp_x = low_pass_factors(nx, self.exponent)
        matrix_y, ramp_y = low_pass_factors(ny, self.exponent)
        ramp = ramp_x[:, None] + ramp_y[None, :]
        if self.temporal_phase == 0:
            ramp = np.zeros_like(ramp)
        self._filters = matrix_x, matrix_y, ramp.astype(np.float32)[:, :, None]

    @property
    def is_complex(self) -> bool:
        """Whether there is a phase."""
        return self.phase is not None

    def chunks(self) -> list[slice]:
        """Blocks of volumes that keep the working memory small."""
        nx, ny, _, n = self.magnitude.shape
        step = max(1, _CHUNK_BYTES // (4 * nx * ny))
        return [slice(a, min(a + step, n)) for a in range(0, n, step)]

    def volume(self, t: int) -> list[np.ndarray]:
        """Scaled data of one volume, [real] or [real, imaginary] of (x, y, z) float32."""
        return self.values(t, slice(None), ramp=np.float32(0))

    def values(
        self, volumes: slice | int, z: int | slice, *, ramp: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Scaled data [real] or [real, imaginary] without the ramp, C-ordered float32."""
        magnitude = np.array(self.magnitude[:, :, z, volumes], dtype=np.float32, order="C")
        np.abs(magnitude, out=magnitude)
        magnitude *= np.float32(1 / self.scale)
        bad = ~np.isfinite(magnitude)
        if not self.is_complex:
            magnitude[bad] = 0
            return [magnitude]
        low, high = self.phase_range
        angle = np.array(self.phase[:, :, z, volumes], dtype=np.float32, order="C")
        angle -= np.float32((high + low) / 2)
        angle *= np.float32(2 * np.pi / (high - low))
        angle -= self._filters[2] if ramp is None else ramp
        bad |= ~np.isfinite(angle)
        if bad.any():
            magnitude[bad] = 0
            angle[bad] = 0
        real = np.cos(angle)
        real *= magnitude
        imaginary = np.sin(angle, out=angle)
        imaginary *= magnitude
        return [real, imaginary]

    def _filtered(self, part: np.ndarray) -> np.ndarray:
        """Low-pass filter one part of a slice (x, y, volumes) in plane."""
        matrix_x, matrix_y, _ = self._filters
        along_x = (matrix_x @ part.reshape(part.shape[0], -1)).reshape(part.shape)
        return matrix_y @ along_x

    def unit_phase(
        self, parts: list[np.ndarray], z: int, gfactor: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Compute the unit complex numbers that the stabilisation divides by.

        Parameters
        ----------
        parts : [real, imaginary] of (x, y, volumes) float32
            From `values`.
        z : int
            Slice.
        gfactor : (x, y) float32 or None
            Noise map in units of `scale`, for the denoising pass; None for the g-factor pass.
            Only temporal_phase 3 makes a difference.

        Returns
        -------
        unit : [real, imaginary]
        """
        real, imaginary = parts
        if self.temporal_phase == 0:
            sign = np.ones_like(real)
            if self.compat:
                np.copyto(sign, -1, where=real < 0)
            return [sign, np.zeros_like(real)]
        cosine, sine = (self._filtered(part) for part in parts)
        norm = np.sqrt(cosine * cosine + sine * sine)
        empty = norm == 0
        norm[empty] = 1
        cosine /= norm
        sine /= norm
        cosine[empty] = 1
        if self.temporal_phase == 1 or (self.temporal_phase == 3 and gfactor is None):
            return [cosine, sine]
        size = np.sqrt(real * real + imaginary * imaginary)
        along = real * cosine + imaginary * sine
        if self.temporal_phase == 2:
            own = along < math.cos(_LARGEST_PHASE_STEP) * size
        else:
            sign = self.static_sign(z)
            cosine *= sign
            sine *= sign
            own = along * sign < math.cos(_LARGEST_PHASE_STEP) * size
            with np.errstate(divide="ignore", invalid="ignore"):
                own &= size / gfactor[:, :, None] > math.sqrt(2)
        cosine[own] = real[own] / size[own]
        sine[own] = imaginary[own] / size[own]
        return [cosine, sine]

    def static_sign(self, z: int) -> np.ndarray | np.float32:
        """Give the sign that the reference program puts on voxels: (x, y, 1); 1 without compat.

        It multiplies the temporal mean by zero and takes its angle, which is pi where the real
        part is a negative zero.
        """
        if not self.compat:
            return np.float32(1)
        n = self.magnitude.shape[3] - self.n_noise
        total = np.zeros((*self.magnitude.shape[:2], 2))
        for volumes in self.chunks():
            volumes = slice(volumes.start, min(volumes.stop, n))
            if volumes.start < volumes.stop:
                for i, part in enumerate(self.values(volumes, z)):
                    total[..., i] += part.sum(axis=2, dtype=np.float64)
        ramp = self._filters[2][:, :, 0]
        mean = total[..., 0] * np.cos(ramp) - total[..., 1] * np.sin(ramp)
        return np.where(mean < 0, -1, 1).astype(np.float32)[:, :, None]

    def stabilise(self, target: list[np.ndarray], z: int, gfactor: np.ndarray | None = None):
        """Write the stabilised data of slice `z` into `target`, divided by `gfactor` if given."""
        for volumes in self.chunks():
            parts = self.values(volumes, z)
            if self.is_complex:
                cosine, sine = self.unit_phase(parts, z, gfactor)
                real, imaginary = parts
                parts = [real * cosine + imaginary * sine, imaginary * cosine - real * sine]
            for part, out in zip(parts, target, strict=True):
                if gfactor is not None:
                    part /= gfactor[:, :, None]
                    part[~np.isfinite(part)] = 0
                out[:, :, z, volumes] = part

    def restore(self, parts: list[np.ndarray], z: int, gfactor: np.ndarray, *, with_phase: bool):
        """Replace denoised data of slice `z` by magnitude and phase in input units, in place."""
        gain = np.nan_to_num(gfactor * self.scale).astype(np.float32)[:, :, None]
        for volumes in self.chunks():
            view = [part[:, :, z, volumes] for part in parts]
            if not self.is_complex:
                np.abs(view[0] * gain, out=view[0])
                continue
            real, imaginary = (part.copy() for part in view)
            np.multiply(np.sqrt(real * real + imaginary * imaginary), gain, out=view[0])
            if with_phase:
                view[1][...] = self._phase_out(real, imaginary, volumes, z, gfactor)

    def _phase_out(self, real, imaginary, volumes: slice, z: int, gfactor) -> np.ndarray:
        """Phase of denoised data in input units, with the removed phase put back."""
        cosine, sine = self.unit_phase(self.values(volumes, z), z, gfactor)
        angle = np.arctan2(imaginary * cosine + real * sine, real * cosine - imaginary * sine)
        angle += self._filters[2]
        angle -= np.float32(2 * np.pi) * np.round(angle / np.float32(2 * np.pi))
        angle[(real == 0) & (imaginary == 0)] = 0
        low, high = self.phase_range
        return angle * np.float32((high - low) / (2 * np.pi)) + np.float32((high + low) / 2)
