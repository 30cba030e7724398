"""Images that NORDIC reads: one echo with its phase and noise volumes, and a noise map."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mebold.errors import ConfigError, DataError, GridMismatchError, MeboldError
from mebold.files import images
from mebold.nordic.noise_map import check_noise_map
from mebold.nordic.noise_volumes import BY_INTENSITY, append_noise_scan, detect_noise_volumes

_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class Echo:
    """One echo of a run as NORDIC takes it.

    Attributes
    ----------
    magnitude : (x, y, z, t) float32
        Noise volumes at the end: those of the series, then those of a separate noise scan.
    phase : (x, y, z, t) float32 or None
    affine : (4, 4) float64
        Voxel to world, RAS+ mm.
    trailing, appended : int
        Noise volumes at the end of the series, and of the separate scan.
    origin : str
        How the trailing ones are known.
    """

    magnitude: np.ndarray
    phase: np.ndarray | None
    affine: np.ndarray
    trailing: int
    appended: int
    origin: str

    @property
    def noise_volumes(self) -> int:
        """Noise volumes in all."""
        return self.trailing + self.appended

    @property
    def noise_text(self) -> str:
        """Number and origin of the noise volumes, for people."""
        texts = []
        if self.trailing:
            texts.append(f"{self.trailing} at the end of the series ({self.origin})")
        if self.appended:
            texts.append(f"{self.appended} of a separate noise scan")
        return " and ".join(texts) or f"none ({self.origin})"


def read_echo(
    magnitude: str | Path,
    phase: str | Path | None = None,
    *,
    noise_scans: Sequence[str | Path] = (),
    noise_volumes: int | None = None,
    origin: str = BY_INTENSITY,
) -> Echo:
    """Read one echo, and append its separate noise scan.

    Parameters
    ----------
    magnitude, phase : path-like
        Series on one grid; without `phase`, magnitude alone.
    noise_scans : sequence of path-like
        Images without excitation (BIDS suffix noRF): magnitude, and phase where the series has one.
    noise_volumes : int, optional
        Noise volumes at the end of the series; None counts them by their drop in intensity.
    origin : str
        How `noise_volumes` is known. Where it was counted in another echo, a different count in
        this one is a warning.

    Returns
    -------
    Echo

    Warns
    -----
    UserWarning
        Voxels or volumes that hold nothing but zeros.

    Raises
    ------
    DataError
        An image that cannot be read, or is no series.
    GridMismatchError
        Images that differ in matrix or place.
    ConfigError
        A noise scan of the magnitude alone for complex data, or the reverse.
    """
    data, affine = images.load(magnitude)
    if data.ndim != 4:
        raise DataError(
            f"{magnitude} has {data.ndim} dimensions; accepted are series (x, y, z, t)."
        )
    _warn_empty(data)
    angle = None if phase is None else _load_at(phase, affine, magnitude)
    expected = 1 if phase is None else 2
    if noise_scans and len(noise_scans) != expected:
        raise ConfigError(
            f"{len(noise_scans)} noise scan(s) for {expected} part(s) of the series; needed are a "
            "magnitude, and a phase exactly when the series has one."
        )
    trailing = _trailing(data, noise_volumes, origin)
    before = data.shape[-1]
    if noise_scans:
        data = append_noise_scan(data, _load_at(noise_scans[0], affine, magnitude))
    if len(noise_scans) > 1:
        angle = append_noise_scan(angle, _load_at(noise_scans[1], affine, magnitude))
    return Echo(data, angle, affine, trailing, data.shape[-1] - before, origin)


def read_echoes(
    magnitudes: Sequence[str], phases: Sequence[str], *, noise_scans: Sequence[str], **options
) -> Iterator[Echo]:
    """Read the echoes of a run one after the other.

    Parameters
    ----------
    magnitudes, phases : sequence of path-like
        In the order of the echoes; no phases for magnitude-only data.
    noise_scans : sequence of path-like
        All magnitudes in that order, then all phases; may be empty.
    **options
        See `read_echo`.
    """
    count = len(magnitudes)
    for index, magnitude in enumerate(magnitudes):
        phase = phases[index] if phases else None
        yield read_echo(magnitude, phase, noise_scans=noise_scans[index::count], **options)


def _trailing(magnitude: np.ndarray, noise_volumes: int | None, origin: str) -> int:
    """Noise volumes at the end of a series."""
    if noise_volumes is not None and origin != BY_INTENSITY:
        return noise_volumes
    found = detect_noise_volumes(magnitude)
    if noise_volumes is not None and found != noise_volumes:
        warnings.warn(
            f"By their intensity the last {found} volumes of this echo are noise volumes, in the "
            f"echo of the motion estimate the last {noise_volumes}, which counts. Set "
            "`nordic.noise_volumes` if that is wrong.",
            stacklevel=3,
        )
    return found if noise_volumes is None else noise_volumes


def _warn_empty(magnitude: np.ndarray) -> None:
    """Announce voxels and volumes of a series that hold nothing but zeros."""
    filled = np.zeros(magnitude.shape[:3], dtype=bool)
    empty = []
    for t in range(magnitude.shape[3]):
        here = magnitude[..., t] != 0
        filled |= here
        if not here.any():
            empty.append(t)
    if not filled.any():  # nordic says so
        return
    if n := int(filled.size - filled.sum()):
        share = 100 * n / filled.size
        warnings.warn(
            f"{n} voxel(s), {share:.2g} % of all, are 0 in all volumes and stay 0.", stacklevel=3
        )
    if empty:
        listed = ", ".join(map(str, empty))
        warnings.warn(
            f"Volume(s) {listed} (counted from 0) are 0 everywhere and stay so.", stacklevel=3
        )


def _load_at(path: str | Path, affine: np.ndarray, reference: str | Path) -> np.ndarray:
    """Read an image and refuse it when it lies elsewhere than the reference."""
    data, own = images.load(path)
    if not np.allclose(own, affine, atol=_SAME_PLACE_MM):
        shift = np.linalg.norm(own[:3, 3] - affine[:3, 3])
        raise GridMismatchError(
            f"{path} lies elsewhere in space than {reference} (origins {shift:.3g} mm apart, "
            "or other axes); both must be on one grid."
        )
    return data


def read_noise_map(path: str | Path | None = None, *, echo: Echo) -> np.ndarray | None:
    """Read a noise map for `mebold.nordic.denoise.nordic` and check it against the series.

    Parameters
    ----------
    path : path-like, optional
    echo : Echo

    Returns
    -------
    gfactor : (x, y, z) float32 or None
        Convention of `NordicResult.gfactor`; None without a path.

    Raises
    ------
    DataError, GridMismatchError
        See `mebold.nordic.noise_map.check_noise_map`.
    """
    if path is None:
        return None
    noise_map = _load_at(path, echo.affine, "the series")
    try:
        signal = echo.magnitude[..., : echo.magnitude.shape[3] - echo.noise_volumes]
        return check_noise_map(noise_map, signal, is_complex=echo.phase is not None)
    except MeboldError as error:
        raise type(error)(f"{path}: {error}") from None
