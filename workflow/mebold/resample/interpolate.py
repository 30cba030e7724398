"""Move a series to its output grid with one interpolation of every volume.

All echoes share one pass over the coordinates, which `mebold.geometry.interpolation` composes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.geometry import bspline, bspline_sampling
from mebold.geometry.bspline import RIM
from mebold.geometry.interpolation import ORDERS, PointMap, resample_volume

#: Volumes interpolated before their values are written: one cache line of the time axis.
_BLOCK = 16


class _Worker:
    """One thread's scratch memory, and the interpolation of a block of volumes in it."""

    def __init__(self, echoes, mapping, order, factor, clip, out):
        self.echoes, self.mapping, self.order = echoes, mapping, order
        self.factor, self.clip, self.out = factor, clip, out
        n_echoes, rimmed = len(echoes), tuple(n + 2 * RIM for n in echoes[0].shape[:3])
        self.coefficients = np.empty((n_echoes, *rimmed), np.float32)
        self.values = np.empty((_BLOCK, n_echoes, mapping.n_points), np.float32)

    def block(self, first, last):
        """Interpolate volumes first..last-1 and write them to the output."""
        mapping = self.mapping
        parts = [echo[..., first:last] for echo in self.echoes]
        for t in range(first, last):
            for e, part in enumerate(parts):
                volume = part[..., t - first]
                bspline.coefficients(volume, order=self.order, out=self.coefficients[e])
            bspline_sampling.gather(
                self.coefficients, mapping.base, mapping.matrix(t), mapping.along,
                mapping.shift(t), self.order, np.float32(0.0), self.values[t - first],
            )  # fmt: skip
        bspline_sampling.store(self.values[: last - first], first, self.factor, self.clip, self.out)


def _checked_echoes(echoes, motion, order):
    """Return the shape (x, y, z, t) that all echoes share."""
    if order not in ORDERS:
        raise ConfigError(f"interpolation order {order}: expected one of {ORDERS}")
    if not echoes:
        raise DataError("no echo to resample")
    shape = echoes[0].shape
    for number, echo in enumerate(echoes):
        if echo.ndim != 4 or echo.shape != shape:
            raise GridMismatchError(f"echo {number} has shape {echo.shape}, echo 0 has {shape}")
    if motion is not None and np.shape(motion) != (shape[3], 4, 4):
        raise GridMismatchError(
            f"motion has shape {np.shape(motion)} for {shape[3]} volumes; "
            f"expected {(shape[3], 4, 4)}"
        )
    return shape


def resample_series(
    echoes: Sequence[np.ndarray],
    affine: np.ndarray,
    points: np.ndarray,
    *,
    motion: np.ndarray | None = None,
    to_boldref: np.ndarray | None = None,
    field_hz: np.ndarray | None = None,
    direction: str | None = None,
    readout_s: float | None = None,
    order: int = 3,
    out: np.ndarray | None = None,
    warp_mm: np.ndarray | None = None,
    jacobian: np.ndarray | None = None,
    clip_negative: bool = False,
    n_threads: int = 1,
) -> np.ndarray:
    """Interpolate every volume of every echo once, at points of another frame.

    Parameters
    ----------
    echoes : sequence of ndarray or `mebold.resample.slice_timing.Corrected`, shape (x, y, z, t)
        Series of one run on one grid, read a block of volumes at a time. Non-finite voxels count
        as 0.
    affine : ndarray, shape (4, 4)
        Voxel to world of the echoes.
    points : ndarray, shape (V, 3)
        World mm in the target frame, usually `affines.grid_points` of a mask.
    motion : ndarray, shape (t, 4, 4), optional
        Point maps from the EPI reference to each volume; identity when absent.
    to_boldref : ndarray, shape (4, 4), optional
        Point map from the target frame to the EPI reference; identity when absent.
    field_hz : ndarray, shape (V,) or (V, t), optional
        Off-resonance in Hz at the points, constant in the head or one value per volume.
    direction, readout_s : str, float
        PhaseEncodingDirection and total readout time (s); needed with a field.
    order : {3, 1, 0}
        Cubic B-spline, linear or nearest neighbour.
    out : ndarray, shape (E, V, t), float32, optional
        Where to write, for example a memory map.
    warp_mm : ndarray, shape (V, 3), optional
        Displacement in mm, in the world of the EPI reference, added to the mapped point before
        the motion.
    jacobian : ndarray, shape (V,), optional
        Intensity factor of every point (`sdc.jacobian`).
    clip_negative : bool
        Set spline undershoot below 0 to 0: for magnitudes.
    n_threads : int
        Threads over blocks of volumes. The result does not depend on it.

    Returns
    -------
    ndarray, shape (E, V, t), float32
        0 where a point lies outside the field of view of a volume; see `coverage`.

    Raises
    ------
    GridMismatchError
        If shapes of echoes, motion, points, field or output disagree.
    ConfigError
        If the order is unknown, or a field comes without direction or readout time.
    """
    shape = _checked_echoes(echoes, motion, order)
    mapping = PointMap(affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm)
    expected = (len(echoes), mapping.n_points, shape[3])
    if out is None:
        out = np.empty(expected, np.float32)
    if out.shape != expected or out.dtype != np.float32:
        raise GridMismatchError(f"out is {out.dtype} {out.shape}; expected float32 {expected}")
    if jacobian is None or jacobian is False:
        factor = np.zeros(0, np.float32)
    else:
        factor = mapping.per_point(jacobian, "jacobian").astype(np.float32)
    starts = list(range(0, shape[3], _BLOCK))
    n_threads = max(1, min(n_threads, len(starts)))

    def work(thread):
        worker = _Worker(echoes, mapping, order, factor, clip_negative, np.asarray(out))
        for first in starts[thread::n_threads]:
            worker.block(first, min(first + _BLOCK, shape[3]))

    if n_threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, range(n_threads)))
    return out


def coverage(
    shape: tuple[int, ...],
    affine: np.ndarray,
    points: np.ndarray,
    *,
    motion: np.ndarray | None = None,
    to_boldref: np.ndarray | None = None,
    field_hz: np.ndarray | None = None,
    direction: str | None = None,
    readout_s: float | None = None,
    warp_mm: np.ndarray | None = None,
) -> np.ndarray:
    """Return the fraction of volumes whose field of view holds each point.

    Parameters
    ----------
    shape : tuple of int
        Shape of a volume; further axes are ignored.
    affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm
        As in `resample_series`.

    Returns
    -------
    ndarray, shape (V,), float32
        1 where the point is inside in every volume.
    """
    mapping = PointMap(affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm)
    count = np.zeros(mapping.n_points, np.int32)
    n_volumes = _n_volumes(mapping)
    for t in range(n_volumes):
        _count_inside(mapping, shape, t, count)
    return count.astype(np.float32) / np.float32(n_volumes)


def inside(
    shape: tuple[int, ...], affine: np.ndarray, points: np.ndarray, **chain: object
) -> np.ndarray:
    """Tell in which volumes each point lies inside the field of view.

    Parameters
    ----------
    shape, affine, points, **chain
        As in `coverage`.

    Returns
    -------
    ndarray, shape (V, t), bool
    """
    names = ("motion", "to_boldref", "field_hz", "direction", "readout_s", "warp_mm")
    mapping = PointMap(affine, points, *(chain.get(name) for name in names))
    counts = np.zeros((_n_volumes(mapping), mapping.n_points), np.int32)
    for t, count in enumerate(counts):
        _count_inside(mapping, shape, t, count)
    return counts.T > 0


def _n_volumes(mapping: PointMap) -> int:
    """Return the number of volumes that a map differs between, at least one."""
    motion = 0 if mapping.motion is None else len(mapping.motion)
    return max(1, motion, len(mapping.shifts))


def _count_inside(mapping: PointMap, shape: tuple[int, ...], t: int, count: np.ndarray) -> None:
    """Add 1 to count (V,) where a point lies in the field of view of volume t."""
    rimmed = tuple(n + 2 * RIM for n in shape[:3])
    bspline_sampling.count_inside(
        mapping.base, mapping.matrix(t), mapping.along, mapping.shift(t), rimmed, count
    )


def field_at_points(
    change_hz: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    *,
    motion: np.ndarray,
    to_boldref: np.ndarray,
    field_hz: np.ndarray,
    direction: str,
    readout_s: float,
    warp_mm: np.ndarray | None = None,
) -> np.ndarray:
    """Return the whole field of every volume at points of the output.

    Parameters
    ----------
    change_hz : (x, y, z, t) array
        At the voxels as acquired.
    affine : (4, 4) array
        Their voxel to world, mm.
    points : (V, 3) array
        World mm of the output.
    motion : (t, 4, 4) array
        Point maps from the reference image to each volume.
    to_boldref : (4, 4) array
        Point map from the output to the reference image.
    field_hz : (V,) array
        Static field at the points, Hz.
    direction, readout_s : str, float
        PhaseEncodingDirection and total readout time (s).
    warp_mm : (V, 3) array, optional
        Displacement of gradient nonlinearity, as in `resample_series`.

    Returns
    -------
    (V, t) float32 array
        Hz. Volumes are contiguous. The change is read where the static field puts the point.
    """
    whole = np.empty((change_hz.shape[3], len(points)), np.float32)
    epi = {"field_hz": field_hz, "direction": direction, "readout_s": readout_s}
    for t in range(len(whole)):
        if warp_mm is not None:  # turned by the motion, which comes after it
            epi["warp_mm"] = warp_mm @ motion[t][:3, :3].T
        whole[t] = resample_volume(
            change_hz[..., t], affine, points, matrix=motion[t] @ to_boldref, **epi, order=1
        )
    whole += np.asarray(field_hz, dtype=np.float32)
    return whole.T
