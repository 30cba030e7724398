"""A field map from two EPI images with opposite phase encoding.

The field displaces the signal of the two images in opposite directions. The field sought is the
smooth one that makes them equal once both are corrected, intensity included.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse.linalg import LinearOperator, cg

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.geometry import affines, grids
from mebold.geometry.masks import foreground_mask
from mebold.geometry.phase_encoding import pe_axis_sign
from mebold.registration import rigid

logger = logging.getLogger(__name__)

#: Voxels of the levels in mm, from the largest displacements to the details; the last level has
#: the voxels of the image.
_LEVELS_MM = (16.0, 11.0, 8.0, 5.5, 4.0)
_STEPS = 5  # Gauss-Newton steps per level
_CG_STEPS = 60
_CG_TOLERANCE = 1e-3
#: From this level on the head may have moved between the images.
_MOVED_MM = 8.0


@dataclass(frozen=True)
class Epi:
    """One EPI image: (x, y, z) volume, (4, 4) voxel to world, direction, readout time in s."""

    volume: np.ndarray
    affine: np.ndarray
    direction: str
    readout_s: float

    @property
    def signed_readout(self) -> float:
        """Voxels along the phase-encoding axis per Hz."""
        return pe_axis_sign(self.direction)[1] * self.readout_s


@dataclass(frozen=True)
class Solution:
    """What registration of the pair found.

    Attributes
    ----------
    field_hz : (x, y, z) float32 array
        At undistorted places, on the grid of the first image.
    corrected : (x, y, z) float32 array
        Mean of both images after correction, intensity included.
    between : (4, 4) float64 array
        Point map from the head in the first image to the head in the second, world mm.
    mismatch_before, mismatch : float
        Root mean square difference of the images over their mean, in the head.
    """

    field_hz: np.ndarray
    corrected: np.ndarray
    between: np.ndarray
    mismatch_before: float
    mismatch: float


def estimate(first: Epi, second: Epi, *, stiffness: float) -> Solution:
    """Estimate the field from a pair of opposite phase encoding.

    Gauss-Newton on the difference of the corrected images, from strongly to weakly smoothed,
    with a penalty on the gradient of the displacement; the head may move between the images. A
    movement along the phase-encoding axis cannot be told from a constant field and counts as one.

    Parameters
    ----------
    first, second : Epi
        Their directions are opposite along one axis.
    stiffness : float
        Weight of the squared gradient of the displacement (voxels per voxel) against the squared
        relative difference of the images.

    Returns
    -------
    Solution

    Raises
    ------
    MetadataError
        When the directions are not opposite, or the readout times are not positive.
    GridMismatchError
        When the voxel axes of the images do not run alike.
    DataError
        When an image holds nothing.

    References
    ----------
    Chang & Fitzpatrick 1992, IEEE Trans Med Imaging 11:319; Andersson et al. 2003, NeuroImage
    20:870 (the model with its intensity change).
    """
    axis = _checked_axis(first, second)
    pair = _Pair(first, second, axis, stiffness)
    native = float(affines.voxel_sizes(first.affine).max())
    levels = [mm for mm in _LEVELS_MM if mm > 1.2 * native] + [native]
    pair.level(native)
    before = pair.mismatch()
    for voxel_mm in levels:
        pair.level(voxel_mm)
        if voxel_mm <= max(_MOVED_MM, native):
            pair.realign()
        for _ in range(_STEPS):
            pair.step()
    size = affines.voxel_sizes(first.affine)[axis]
    found = Solution(
        field_hz=(pair.shift_mm / (size * pair.mean_readout)).astype(np.float32),
        corrected=pair.corrected_mean(),
        between=pair.between,
        mismatch_before=before,
        mismatch=pair.mismatch(),
    )
    logger.info("images differ by %.3f before, %.3f after", before, found.mismatch)
    return found


def _checked_axis(first: Epi, second: Epi) -> int:
    """Return the phase-encoding axis of a pair; raise when it is no pair."""
    (axis, sign), (other, opposite) = (pe_axis_sign(e.direction) for e in (first, second))
    if axis != other or sign == opposite:
        message = (
            f"phase encoding {first.direction} and {second.direction}: a field needs two opposite "
            "directions of one axis, such as j and j-."
        )
        raise MetadataError(message)
    for epi in (first, second):
        if not epi.readout_s or epi.readout_s <= 0:
            message = f"total readout time {epi.readout_s} s: it must be positive."
            raise MetadataError(message)
        if epi.volume.ndim != 3 or not np.any(np.nan_to_num(epi.volume) > 0):
            message = f"an image of shape {epi.volume.shape} without a positive value is no EPI."
            raise DataError(message)
    turn = np.linalg.inv(_directions(first.affine)) @ _directions(second.affine)
    if np.min(np.diag(turn)) < np.cos(np.deg2rad(10.0)):
        message = "the voxel axes of the two images differ by more than 10 degrees."
        raise GridMismatchError(message)
    return axis


def _directions(affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] / affines.voxel_sizes(affine)


class _Pair:
    """The state of the estimate: displacement in mm at the mean readout time, and movement."""

    def __init__(self, first: Epi, second: Epi, axis: int, stiffness: float) -> None:
        self.axis, self.stiffness = axis, stiffness
        self.own = []
        for epi in (first, second):
            volume = np.maximum(np.nan_to_num(epi.volume.astype(np.float32)), 0.0)
            self.own.append((volume, epi.affine))
        inside = [foreground_mask(volume) for volume, _ in self.own]
        # The signal is displaced, not lost: the sums agree, whatever room it takes.
        area = np.count_nonzero(inside[0])
        scales = [v[mask].sum() / area for (v, _), mask in zip(self.own, inside, strict=True)]
        self.own = [(v / s, a) for (v, a), s in zip(self.own, scales, strict=True)]
        self.scale, self.own_head = float(np.mean(scales)), inside[0]
        self.mean_readout = 0.5 * (first.readout_s + second.readout_s)
        self.per_shift = [e.signed_readout / self.mean_readout for e in (first, second)]
        self.between = np.eye(4)
        self.shift_mm, self.affine = np.zeros(self.own_head.shape, np.float32), first.affine

    def level(self, voxel_mm: float) -> None:
        """Go to a grid of voxels of about this size."""
        if voxel_mm <= affines.voxel_sizes(self.own[0][1]).max():
            self.seen = self.own
        else:
            self.seen = [grids.coarsen(v, a, voxel_mm=voxel_mm) for v, a in self.own]
        volume, affine = self.seen[0]
        grid = volume.shape, affine
        self.shift_mm = grids.onto(self.shift_mm, self.affine, *grid, mode="nearest")
        self.head = grids.onto(self.own_head, self.own[0][1], *grid) > 0.5
        self.affine = affine
        self.sizes = [float(affines.voxel_sizes(a)[self.axis]) for _, a in self.seen]
        self.index = np.indices(volume.shape, dtype=np.float32)

    def _position(self, which: int) -> np.ndarray:
        """Return where the undistorted voxels are found in an image, (3, x, y, z) voxels."""
        position = self.index
        if which == 1:
            matrix = np.linalg.inv(self.seen[1][1]) @ self.between @ self.affine
            position = np.tensordot(matrix[:3, :3], position, axes=1)
            position += matrix[:3, 3].reshape(3, 1, 1, 1)
        position = position.astype(np.float32, copy=True)
        position[self.axis] += self.per_shift[which] / self.sizes[which] * self.shift_mm
        return position

    def read(self, which: int, volume: np.ndarray, order: int = 1) -> np.ndarray:
        """Return an image at its displaced places, without the intensity factor."""
        return ndimage.map_coordinates(volume, self._position(which), order=order, mode="nearest")

    def factor(self, which: int) -> np.ndarray:
        """Return the intensity factor of an image."""
        slope = self.slope(self.shift_mm) / np.float32(self.sizes[0])
        return np.maximum(1.0 + self.per_shift[which] * slope, 0.1)

    def slope(self, values: np.ndarray) -> np.ndarray:
        """Return the derivative along the phase-encoding axis, per voxel."""
        return ndimage.correlate1d(values, [-0.5, 0.0, 0.5], axis=self.axis, mode="nearest")

    def slope_adjoint(self, values: np.ndarray) -> np.ndarray:
        """Return the transpose of `slope`."""
        out = ndimage.correlate1d(values, [0.5, 0.0, -0.5], axis=self.axis, mode="constant")
        first, last = (self._at(k) for k in (0, -1))
        out[first] -= 0.5 * values[first]
        out[last] += 0.5 * values[last]
        return out

    def _at(self, position: int) -> tuple:
        return tuple(position if a == self.axis else slice(None) for a in range(3))

    def step(self) -> None:
        """Improve the displacement by one Gauss-Newton step."""
        along, across, difference = 0.0, 0.0, 0.0
        for which, sign in ((0, 1.0), (1, -1.0)):
            volume, per_voxel = self.seen[which][0], self.per_shift[which] / self.sizes[which]
            value, factor = self.read(which, volume), self.factor(which)
            change = self.read(which, self.slope(volume))
            difference = difference + sign * value * factor
            along = along + np.float32(sign * per_voxel) * change * factor
            across = across + np.float32(sign * self.per_shift[which] / self.sizes[0]) * value
        stiffness = np.float32(self.stiffness / self.sizes[0] ** 2)
        gradient = along * difference + self.slope_adjoint(across * difference)
        gradient += stiffness * self._rough(self.shift_mm)
        shape = self.shift_mm.shape

        def normal(flat: np.ndarray) -> np.ndarray:
            delta = flat.reshape(shape).astype(np.float32)
            linear = along * delta + across * self.slope(delta)
            out = along * linear + self.slope_adjoint(across * linear)
            return (out + stiffness * self._rough(delta)).ravel()

        diagonal = along**2 + 0.5 * across**2 + 6.0 * stiffness
        size = (self.shift_mm.size,) * 2
        delta, _ = cg(
            LinearOperator(size, matvec=normal, dtype=np.float32),
            -gradient.ravel(),
            rtol=_CG_TOLERANCE,
            maxiter=_CG_STEPS,
            M=LinearOperator(size, matvec=lambda flat: flat / diagonal.ravel(), dtype=np.float32),
        )
        self.shift_mm = self.shift_mm + delta.reshape(shape).astype(np.float32)

    def _rough(self, values: np.ndarray) -> np.ndarray:
        """Return the gradient of half the squared differences between neighbours."""
        return -ndimage.laplace(values, mode="nearest")

    def realign(self) -> None:
        """Estimate how the head moved between the images, now that both can be corrected."""
        corrected = [self.read(w, self.seen[w][0]) * self.factor(w) for w in (0, 1)]
        matrix = rigid.register(
            corrected[1], corrected[0], moving_affine=self.affine,
            reference_affine=self.affine, mask=self.head,
        ).matrix  # fmt: skip
        self.between = self.between @ matrix
        # What moves the head's centre along the phase encoding is a constant field.
        centre = affines.apply(self.affine, np.argwhere(self.head).mean(axis=0))
        unit = _directions(self.affine)[:, self.axis]
        moved = affines.apply(self.between, centre) - centre
        self.between[:3, 3] -= (moved @ unit) * unit

    def corrected_mean(self) -> np.ndarray:
        """Return the mean of the corrected images in their own units."""
        both = [self.read(w, self.seen[w][0], order=3) * self.factor(w) for w in (0, 1)]
        return (self.scale * np.maximum(np.mean(both, axis=0), 0.0)).astype(np.float32)

    def mismatch(self) -> float:
        """Return the rms difference of the corrected images over their mean in the head."""
        a, b = (self.read(w, self.seen[w][0]) * self.factor(w) for w in (0, 1))
        return float(np.sqrt(np.mean((a - b)[self.head] ** 2)) / np.mean((a + b)[self.head] / 2))
