"""Move a series to its output grid with one interpolation of every volume.

A target point x (world mm) is read in volume t at the voxel coordinate

    inv(A) (motion[t] (B x + w(x))) + e_pe * shift(x)

with B the point map from the target frame to the EPI reference, w an optional displacement in the
frame of the EPI reference (gradient nonlinearity), motion[t] the rigid point map from reference to
volume, A the affine of the volumes, and shift the displacement along the phase-encoding axis,
looked up at x: the field moves with the head. All echoes share one pass over the coordinates.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.geometry import bspline, bspline_sampling
from mebold.geometry.bspline import RIM
from mebold.geometry.phase_encoding import pe_axis_sign, voxel_shift

#: Volumes interpolated before their values are written: one cache line of the time axis.
_BLOCK = 16

_ORDERS = (0, 1, 3)


class _Map:
    """The composed coordinate map from target points to the voxels of every volume."""

    def __init__(self, affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm):
        self.affine = np.asarray(affine, dtype=np.float64)
        self.inverse = np.linalg.inv(self.affine)
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != 3:
            raise GridMismatchError(f"points must be (V, 3) world coordinates, got {points.shape}")
        self.n_points = len(points)
        self.motion = None if motion is None else np.asarray(motion, dtype=np.float64)
        to_boldref = np.eye(4) if to_boldref is None else np.asarray(to_boldref, dtype=np.float64)
        # Voxel units of the reference keep float32 coordinates exact to 1e-5 voxel.
        combined = self.inverse @ to_boldref
        base = points @ combined[:3, :3].T + combined[:3, 3]
        if warp_mm is not None:
            base = base + self._per_point(warp_mm, "warp_mm", (3,)) @ self.inverse[:3, :3].T
        self.base = np.ascontiguousarray(base.T, dtype=np.float32)
        self.along = np.zeros(3, np.float32)
        self.shifts = np.zeros((0, 0), np.float32)
        if field_hz is not None:
            self._set_field(field_hz, direction, readout_s)

    def _per_point(self, values, name, trailing=()):
        values = np.asarray(values)
        if values.shape[: 1 + len(trailing)] != (self.n_points, *trailing):
            raise GridMismatchError(
                f"{name} has shape {values.shape}; expected {(self.n_points, *trailing)}"
            )
        return values

    def _set_field(self, field_hz, direction, readout_s):
        if direction is None or readout_s is None:
            raise ConfigError("a field needs PhaseEncodingDirection and the total readout time")
        axis, _ = pe_axis_sign(direction)
        self.along[axis] = 1.0
        field = self._per_point(field_hz, "field_hz")
        shifts = voxel_shift(field, direction=direction, readout_s=readout_s)
        self.shifts = np.ascontiguousarray(np.atleast_2d(shifts.T))
        if field.ndim == 2 and self.motion is not None and len(self.shifts) != len(self.motion):
            raise GridMismatchError(
                f"field_hz has {len(self.shifts)} volumes, motion has {len(self.motion)}"
            )

    def matrix(self, t):
        """Return the (3, 4) float32 map from reference voxels to those of volume t."""
        rigid = np.eye(4) if self.motion is None else self.motion[t]
        return np.ascontiguousarray((self.inverse @ rigid @ self.affine)[:3], dtype=np.float32)

    def shift(self, t):
        """Return the displacement of every point in volume t, or an empty array."""
        if len(self.shifts) == 0:
            return np.zeros(0, np.float32)
        return self.shifts[t if len(self.shifts) > 1 else 0]


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
    if order not in _ORDERS:
        raise ConfigError(f"interpolation order {order}: expected one of {_ORDERS}")
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
    mapping = _Map(affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm)
    expected = (len(echoes), mapping.n_points, shape[3])
    if out is None:
        out = np.empty(expected, np.float32)
    if out.shape != expected or out.dtype != np.float32:
        raise GridMismatchError(f"out is {out.dtype} {out.shape}; expected float32 {expected}")
    if jacobian is None or jacobian is False:
        factor = np.zeros(0, np.float32)
    else:
        factor = mapping._per_point(jacobian, "jacobian").astype(np.float32)
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


def resample_volume(
    volume: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    *,
    matrix: np.ndarray | None = None,
    field_hz: np.ndarray | None = None,
    direction: str | None = None,
    readout_s: float | None = None,
    order: int = 3,
    warp_mm: np.ndarray | None = None,
    fill: float = 0.0,
) -> np.ndarray:
    """Interpolate one volume once, at points of another frame.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
        Non-finite voxels count as 0.
    affine : ndarray, shape (4, 4)
        Voxel to world of the volume.
    points : ndarray, shape (V, 3)
        World mm in the target frame.
    matrix : ndarray, shape (4, 4), optional
        Point map from the target frame to the world of the volume; identity when absent.
    field_hz, direction, readout_s, order, warp_mm
        As in `resample_series`; order 0 suits labels and masks.
    fill : float
        Value of points outside the field of view.

    Returns
    -------
    ndarray, shape (V,), float32
    """
    if order not in _ORDERS:
        raise ConfigError(f"interpolation order {order}: expected one of {_ORDERS}")
    if volume.ndim != 3:
        raise GridMismatchError(f"expected one volume, got an array of shape {volume.shape}")
    mapping = _Map(affine, points, None, matrix, field_hz, direction, readout_s, warp_mm)
    coefficients = bspline.coefficients(volume, order=order)[np.newaxis]
    out = np.empty((1, mapping.n_points), np.float32)
    bspline_sampling.gather(
        coefficients, mapping.base, mapping.matrix(0), mapping.along, mapping.shift(0),
        order, np.float32(fill), out,
    )  # fmt: skip
    return out[0]


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
    mapping = _Map(affine, points, motion, to_boldref, field_hz, direction, readout_s, warp_mm)
    n_volumes = max(1, 0 if motion is None else len(motion), len(mapping.shifts))
    count = np.zeros(mapping.n_points, np.int32)
    rimmed = tuple(n + 2 * RIM for n in shape[:3])
    for t in range(n_volumes):
        bspline_sampling.count_inside(
            mapping.base, mapping.matrix(t), mapping.along, mapping.shift(t), rimmed, count
        )
    return count.astype(np.float32) / np.float32(n_volumes)
