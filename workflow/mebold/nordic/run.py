"""One NORDIC run: the stages between a checked series and its result."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from threadpoolctl import threadpool_limits

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic.noise_map import measured_level, repair_gfactor, smallest_magnitude
from mebold.nordic.options import Options, resolve_phase_range, warn_not_finite
from mebold.nordic.passes import Maps, Progress, estimate_gfactor, remove_noise
from mebold.nordic.patches import Axis
from mebold.nordic.phase import SliceModel
from mebold.nordic.rank import Rule


def slice_model(
    magnitude: np.ndarray, phase: np.ndarray | None, options: Options, noise_volumes: int = 0
) -> SliceModel:
    """Slice model of a series whose shape has been checked."""
    warn_not_finite(magnitude, phase)
    return SliceModel(
        magnitude,
        phase,
        smallest_magnitude(magnitude),
        resolve_phase_range(phase, options.phase_range),
        0 if phase is None else options.temporal_phase,
        options.phase_filter_width,
        options.compat,
        noise_volumes,
    )


@contextlib.contextmanager
def workers(n_threads: int) -> Iterator[Executor]:
    """Pool of threads, each with a single-threaded linear algebra."""
    if n_threads < 1:
        raise ConfigError(f"n_threads is {n_threads!r}; accepted are 1 and more.")
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        yield pool


def quiet(_stage: str, _fraction: float) -> None:
    """Report no progress."""


@dataclass
class Run:
    """State of a run. The methods are called in the order in which they stand here.

    Attributes
    ----------
    model : SliceModel
    options : Options
    progress : callable
    pool : Executor
    parts : list of (x, y, z, t) float32
        Stabilised data, then denoised data, then magnitude and phase.
    gfactor : (x, y, z) float32
        In units of ``model.scale``.
    """

    model: SliceModel
    options: Options
    progress: Progress
    pool: Executor
    parts: list = field(init=False)
    gfactor: np.ndarray = field(init=False)
    gfactor_components_removed: np.ndarray | None = field(init=False, default=None)
    _has_empty: bool = field(init=False, default=False)

    @property
    def _n_volumes(self) -> int:
        return self.model.magnitude.shape[3]

    def _each_slice(self, stage: str, job: Callable[[int], None]) -> None:
        """Call `job` for every slice."""
        n_slices = self.model.magnitude.shape[2]
        pending = [self.pool.submit(job, z) for z in range(n_slices)]
        for z, item in enumerate(pending):
            item.result()
            self.progress(stage, (z + 1) / n_slices)

    def stabilise(self) -> None:
        """Make the complex series without its slowly varying phase."""
        n_parts = 2 if self.model.is_complex else 1
        shape = self.model.magnitude.shape
        self.parts = [np.empty(shape, dtype=np.float32) for _ in range(n_parts)]
        self._each_slice("phase", lambda z: self.model.stabilise(self.parts, z))

    def estimate_gfactor(self) -> None:
        """Estimate the noise level of every voxel."""
        axes = self.options.gfactor_axes(self.model.magnitude.shape[:3])
        n_used = min(self.options.gfactor_volumes, self._n_volumes)
        found, removed = estimate_gfactor(self.parts, axes, n_used, self.pool, self.progress)
        self.gfactor_components_removed = removed.astype(np.float32)
        found, self._has_empty = repair_gfactor(found, self._n_volumes, compat=self.options.compat)
        self.gfactor = found.astype(np.float32)

    def use_gfactor(self, gfactor: np.ndarray) -> None:
        """Take a noise map in input units instead of an estimate."""
        gfactor = np.array(gfactor, dtype=np.float64)
        shape = self.model.magnitude.shape[:3]
        if gfactor.shape != shape:
            raise GridMismatchError(
                f"gfactor has the shape {gfactor.shape}, a volume {shape}; they must be equal."
            )
        if np.any(gfactor < 0):
            raise DataError(
                f"gfactor goes down to {np.nanmin(gfactor):g}; accepted are noise levels above 0."
            )
        gfactor[~np.isfinite(gfactor)] = 0
        gfactor, _ = repair_gfactor(gfactor / self.model.scale, self._n_volumes, compat=False)
        self.gfactor = gfactor.astype(np.float32)

    def noise_level(self) -> float:
        """Noise per channel in units of the g-factor, measured if there are noise volumes."""
        model = self.model
        if not model.n_noise:
            return 1 / math.sqrt(2) if model.is_complex else 1.0
        if not model.is_complex:
            warnings.warn(
                "The noise volumes hold magnitudes, whose spread is about 0.66 times the noise "
                "in the signal: the threshold is too low and less noise is removed. Give the "
                "phase, or noise_volumes=0.",
                stacklevel=3,
            )
        first = self._n_volumes - model.n_noise
        used = [first] if model.compat else range(first, self._n_volumes)
        volumes = [model.volume(t) for t in used]
        if model.compat and model.is_complex:
            signs = [model.static_sign(z) for z in range(model.magnitude.shape[2])]
            volumes = [[part * np.concatenate(signs, axis=2) for part in v] for v in volumes]
        return measured_level(volumes, self.gfactor)

    def divide(self, seed: int) -> None:
        """Divide the stabilised data by the g-factor; with `compat`, fill empty voxels."""
        self._each_slice("scaling", self._divide_slice)
        if not (self._has_empty and self.options.compat):
            return
        rng = np.random.default_rng(seed)
        empty = ~np.any([part.any(axis=-1) for part in self.parts], axis=0)
        for part in self.parts:
            noise = rng.standard_normal((int(empty.sum()), self._n_volumes), dtype=np.float32)
            part[empty] = noise / np.float32(math.sqrt(len(self.parts)))

    def _divide_slice(self, z: int) -> None:
        gfactor = self.gfactor[:, :, z]
        if self.model.is_complex and self.model.temporal_phase == 3:
            self.model.stabilise(self.parts, z, gfactor)
            return
        missing = ~np.isfinite(gfactor)
        for part in self.parts:
            part[:, :, z] /= gfactor[..., None]
            part[:, :, z][missing] = 0

    def denoise(self, axes: tuple[Axis, Axis, Axis], rule: Rule) -> Maps:
        """Remove the noise components of all patches."""
        return remove_noise(self.parts, axes, rule, self.pool, self.progress)

    def restore(self, *, with_phase: bool) -> None:
        """Turn the denoised data into magnitude and phase in input units."""

        def job(z: int) -> None:
            self.model.restore(self.parts, z, self.gfactor[:, :, z], with_phase=with_phase)

        self._each_slice("output", job)


_SMOOTHING_VOXELS = 2.0  # leaves some 1 % of scatter from three noise volumes


@dataclass(frozen=True)
class NordicResult:
    """Denoised series and what was done to it.

    Attributes
    ----------
    magnitude : (x, y, z, t) float32
        Input units.
    phase : (x, y, z, t) float32 or None
        Input units; None for magnitude-only data or when not asked for.
    gfactor : (x, y, z) float32
        Noise level by which the data were divided, in signal units: for complex data the standard
        deviation of real and imaginary part together (sqrt(2) times that of one channel). NaN
        where no patch lies (last row with ``compat=True``).
    components_removed, energy_removed : (x, y, z) float32
        Means over the patches that cover a voxel: number of removed components; square root of
        the removed fraction of the sum of singular values.
    residual_sd : (x, y, z) float32
        Standard deviation over volumes of (input - output), convention of `gfactor`: for pure
        noise removal a little below it, with no trace of the anatomy.
    noise_sd : (x, y, z) float32
        Noise per channel (real or imaginary part) in signal units, from the lower half of the
        spectrum of the patches (`rank.bulk_variance`). Nearly free of the bias of `gfactor`,
        which is set by the spread of the spectrum and off where the noise level varies within a
        patch; noise volumes correct the map locally. NaN where nothing was removed.
    threshold : float
        On the singular values of data divided by the g-factor; NaN with ``method="mppca"``.
    noise_level : float
        Noise per channel in units of the g-factor: measured in the noise volumes, or assumed.
    kernel_size : tuple of int
        Patch of the denoising pass.
    gfactor_components_removed : (x, y, z) float32 or None
        Number of noise components in the g-factor pass; None when the g-factor was given.
    absolute_scale : float
        Smallest non-zero magnitude of the first volume.
    phase_range : (low, high) or None
        Phase values taken as -pi and +pi.
    noise_volumes : int
        Noise volumes at the end of the input.
    noise_volumes_trimmed : bool
        Whether they are missing in the output.
    """

    magnitude: np.ndarray
    phase: np.ndarray | None
    gfactor: np.ndarray
    components_removed: np.ndarray
    energy_removed: np.ndarray
    residual_sd: np.ndarray
    noise_sd: np.ndarray
    threshold: float
    noise_level: float
    kernel_size: tuple[int, int, int]
    gfactor_components_removed: np.ndarray | None
    absolute_scale: float
    phase_range: tuple[float, float] | None
    noise_volumes: int
    noise_volumes_trimmed: bool


def _noise_sd(run: Run, maps: Maps) -> np.ndarray:
    """Noise per channel in input units, corrected by what the noise volumes show, if any."""
    variance = maps.noise_variance * run.gfactor.astype(np.float64) ** 2
    if run.model.n_noise and run.model.is_complex:
        last = run.model.magnitude.shape[3]
        power = np.zeros(variance.shape)
        for t in range(last - run.model.n_noise, last):
            power += sum(part.astype(np.float64) ** 2 for part in run.model.volume(t))
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = power / run.model.n_noise / variance
        known = np.isfinite(excess) & (power > 0)
        weight = ndimage.gaussian_filter(known.astype(float), _SMOOTHING_VOXELS)
        excess = ndimage.gaussian_filter(np.where(known, excess, 0), _SMOOTHING_VOXELS)
        variance *= np.where(weight > 0, excess / np.maximum(weight, 1e-6), 1)
    return (np.sqrt(variance / len(run.parts)) * run.model.scale).astype(np.float32)


def collect(
    run: Run, maps: Maps, kernel: tuple, threshold: float, level: float, *, trim: bool, phase: bool
) -> NordicResult:
    """Collect what a run has left behind, in input units."""
    n_noise = run.model.n_noise
    kept = run.model.magnitude.shape[3] - (n_noise if trim else 0)
    gain = run.model.scale
    return NordicResult(
        magnitude=run.parts[0][..., :kept],
        phase=run.parts[1][..., :kept] if run.model.is_complex and phase else None,
        gfactor=run.gfactor * np.float32(gain),
        components_removed=maps.components_removed.astype(np.float32),
        energy_removed=maps.energy_removed.astype(np.float32),
        residual_sd=(maps.residual_sd * run.gfactor * gain).astype(np.float32),
        noise_sd=_noise_sd(run, maps),
        threshold=threshold,
        noise_level=level,
        kernel_size=kernel,
        gfactor_components_removed=run.gfactor_components_removed,
        absolute_scale=gain,
        phase_range=run.model.phase_range,
        noise_volumes=n_noise,
        noise_volumes_trimmed=trim and n_noise > 0,
    )
