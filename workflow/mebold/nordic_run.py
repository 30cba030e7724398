"""One NORDIC run: the stages between a checked series and its result."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic_noise import measured_level, repair_gfactor, smallest_magnitude
from mebold.nordic_passes import Maps, Progress, estimate_gfactor, remove_noise
from mebold.nordic_patches import Axis, patch_axes
from mebold.nordic_phase import SliceModel, full_turn_range
from mebold.nordic_rank import Rule


@dataclass(frozen=True)
class Options:
    """Options that both passes share; see `mebold.nordic.nordic`."""

    temporal_phase: int
    phase_filter_width: float
    gfactor_kernel_size: Sequence[int]
    gfactor_volumes: int
    gfactor_patch_overlap: float
    phase_range: Sequence[float] | str | None
    compat: bool

    def __post_init__(self):
        if self.temporal_phase not in (0, 1, 2, 3):
            raise ConfigError(
                f"temporal_phase is {self.temporal_phase!r}; accepted are 0, 1, 2 and 3."
            )
        if not self.gfactor_volumes >= 2:
            raise ConfigError(
                f"gfactor_volumes is {self.gfactor_volumes!r}; accepted are 2 and more."
            )

    def gfactor_axes(self, shape: tuple) -> tuple[Axis, Axis, Axis]:
        """Patches of the g-factor pass."""
        return patch_axes(
            shape,
            tuple(self.gfactor_kernel_size),
            self.gfactor_patch_overlap,
            compat=self.compat,
            name="gfactor_kernel_size",
        )


def _warn_not_finite(*arrays: np.ndarray | None) -> None:
    """Announce that values which are not finite count as 0."""
    for array in arrays:
        if array is None or array.dtype.kind != "f":
            continue
        if not (math.isfinite(float(np.min(array))) and math.isfinite(float(np.max(array)))):
            n = sum(int((~np.isfinite(array[x])).sum()) for x in range(array.shape[0]))
            warnings.warn(f"{n} values are not finite and are set to 0.", stacklevel=5)


def _resolve_phase_range(phase: np.ndarray | None, phase_range) -> tuple[float, float] | None:
    """Phase values at -pi and +pi."""
    if phase is None:
        return None
    if phase_range is None:
        return full_turn_range(phase)
    if isinstance(phase_range, str):
        if phase_range == "radians":
            return -math.pi, math.pi
    elif len(phase_range) == 2 and phase_range[0] < phase_range[1]:
        return float(phase_range[0]), float(phase_range[1])
    raise ConfigError(
        f"phase_range is {phase_range!r}; accepted are None (range of the data), 'radians' or "
        "(low, high) with the values at -pi and +pi."
    )


def slice_model(
    magnitude: np.ndarray, phase: np.ndarray | None, options: Options, noise_volumes: int = 0
) -> SliceModel:
    """Slice model of a series whose shape has been checked."""
    _warn_not_finite(magnitude, phase)
    return SliceModel(
        magnitude,
        phase,
        smallest_magnitude(magnitude),
        _resolve_phase_range(phase, options.phase_range),
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
