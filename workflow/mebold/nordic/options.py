"""What NORDIC is asked for, and the checks of series and rules before it starts."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.nordic.patches import Axis, patch_axes
from mebold.nordic.phase import full_turn_range

_FEWEST_VOLUMES = 6


def check_series(magnitude: np.ndarray, phase: np.ndarray | None, noise_volumes: int) -> None:
    """Refuse series that cannot be denoised and warn about short ones."""
    if np.iscomplexobj(magnitude):
        raise DataError("The magnitude is complex; accepted are magnitude and phase, each real.")
    if magnitude.ndim != 4:
        raise DataError(
            f"The magnitude has {magnitude.ndim} dimensions; accepted are series (x, y, z, t)."
        )
    if phase is not None and phase.shape != magnitude.shape:
        raise GridMismatchError(
            f"Magnitude has the shape {magnitude.shape}, phase {phase.shape}; they must be equal. "
            "Was a run stopped while its files were written?"
        )
    n = magnitude.shape[3]
    if n < 2:
        raise DataError(f"The series has {n} volume; NORDIC needs at least 2, better 30.")
    if n < _FEWEST_VOLUMES:
        warnings.warn(
            f"The series has only {n} volumes; signal and noise can hardly be told apart below "
            f"{_FEWEST_VOLUMES}.",
            stacklevel=3,
        )
    if not 0 <= noise_volumes < n:
        raise ConfigError(
            f"noise_volumes is {noise_volumes}, but the series has {n} volumes; accepted are "
            f"0 to {n - 1}."
        )


def check_rule(method: str, factor_error: float, threshold: float | None) -> None:
    """Refuse options of the choice of components that have no meaning."""
    if method not in ("nordic", "mppca"):
        raise ConfigError(f"method is {method!r}; accepted are 'nordic' and 'mppca'.")
    if threshold is not None and not threshold >= 0:
        raise ConfigError(f"threshold is {threshold!r}; accepted are 0 and more, or None.")
    if not factor_error > 0:
        raise ConfigError(f"factor_error is {factor_error!r}; accepted are values above 0.")


@dataclass(frozen=True)
class Options:
    """Options that both passes share; see `mebold.nordic.denoise.nordic`."""

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


def warn_not_finite(*arrays: np.ndarray | None) -> None:
    """Announce that values which are not finite count as 0."""
    for array in arrays:
        if array is None or array.dtype.kind != "f":
            continue
        if not (math.isfinite(float(np.min(array))) and math.isfinite(float(np.max(array)))):
            n = sum(int((~np.isfinite(array[x])).sum()) for x in range(array.shape[0]))
            warnings.warn(f"{n} values are not finite and are set to 0.", stacklevel=5)


def resolve_phase_range(phase: np.ndarray | None, phase_range) -> tuple[float, float] | None:
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
