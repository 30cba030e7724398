"""The way from target points to the voxels of a volume, composed, and one volume read there.

A target point x (world mm) is read in volume t at the voxel coordinate

    inv(A) (motion[t] (B x + w(x))) + e_pe * shift(x)

with B the point map from the target frame to the EPI reference, w an optional displacement in the
frame of the EPI reference (gradient nonlinearity), motion[t] the rigid point map from reference to
volume, A the affine of the volumes, and shift the displacement along the phase-encoding axis,
looked up at x: the field moves with the head.
"""

import numpy as np

from mebold.errors import ConfigError, GridMismatchError
from mebold.geometry import bspline, bspline_sampling
from mebold.geometry.phase_encoding import pe_axis_sign, voxel_shift

#: Orders of interpolation: nearest voxel, linear, cubic spline.
ORDERS = (0, 1, 3)


class PointMap:
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
            base = base + self.per_point(warp_mm, "warp_mm", (3,)) @ self.inverse[:3, :3].T
        self.base = np.ascontiguousarray(base.T, dtype=np.float32)
        self.along = np.zeros(3, np.float32)
        self.shifts = np.zeros((0, 0), np.float32)
        if field_hz is not None:
            self._set_field(field_hz, direction, readout_s)

    def per_point(self, values, name, trailing=()):
        """Return values as an array, one (of a trailing shape) per point, or raise."""
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
        field = self.per_point(field_hz, "field_hz")
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
        As in `mebold.resample.interpolate.resample_series`; order 0 suits labels and masks.
    fill : float
        Value of points outside the field of view.

    Returns
    -------
    ndarray, shape (V,), float32
    """
    if order not in ORDERS:
        raise ConfigError(f"interpolation order {order}: expected one of {ORDERS}")
    if volume.ndim != 3:
        raise GridMismatchError(f"expected one volume, got an array of shape {volume.shape}")
    mapping = PointMap(affine, points, None, matrix, field_hz, direction, readout_s, warp_mm)
    coefficients = bspline.coefficients(volume, order=order)[np.newaxis]
    out = np.empty((1, mapping.n_points), np.float32)
    bspline_sampling.gather(
        coefficients, mapping.base, mapping.matrix(0), mapping.along, mapping.shift(0),
        order, np.float32(fill), out,
    )  # fmt: skip
    return out[0]
