"""Evidence for the sign of a distortion correction, from the anatomy."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.anat.bias import bias_correct
from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, grids, masks
from mebold.geometry.phase_encoding import pe_axis_sign, voxel_shift
from mebold.registration.similarity import local_correlation

_WORKING_MM = 3.0
_BOX_MM = 12.0
_EDGE_MM = 4.0
_LEAST_VOXELS = 500
# Coordinate search of the rigid position: step in mm and in radians (at about 60 mm).
_STEPS_MM = (3.0, 1.5, 0.75)
_RADIANS_PER_MM = 1.0 / 60.0
_ROUNDS = 2


@dataclass(frozen=True)
class FieldSignEvidence:
    """How well the EPI fits the anatomy with the field as given, without, and reversed.

    Attributes
    ----------
    scores : dict of str to float
        ``plus``, ``zero``, ``minus``: mean squared local correlation with the anatomy, 0 to 1.
    verdict : str
        ``plus``: the sign is right (clearly better than reversed, not clearly worse than none);
        ``minus``: clearly worse than reversed; ``zero``: clearly worse than none; ``undecided``.
    margin : float
        Score of ``plus`` minus that of ``minus``.
    margin_z : float
        The margin over its standard error between independent blocks of the brain.
    zero_z : float
        The same for ``plus`` against ``zero``. A mean shift is no part of either.
    shift_p95_mm : float
        95th percentile of the correction's size in the brain: small shifts leave no evidence.
    """

    scores: dict[str, float]
    verdict: str
    margin: float
    margin_z: float
    zero_z: float
    shift_p95_mm: float


def field_sign_evidence(
    boldref: np.ndarray,
    boldref_affine: np.ndarray,
    field_hz: np.ndarray,
    anatomy: np.ndarray,
    anatomy_affine: np.ndarray,
    *,
    mask: np.ndarray,
    anatomy_mask: np.ndarray,
    direction: str,
    readout_s: float,
    to_anatomy: np.ndarray | None = None,
    min_z: float = 3.0,
) -> FieldSignEvidence:
    """Compare the EPI, corrected with the field, without and with its negative, with the anatomy.

    Each version may settle into its own rigid position, because an alignment made with one of
    them favours that one: it has absorbed its mean shift and tilt.

    Parameters
    ----------
    boldref : (x, y, z) array
        Distorted EPI reference; bias corrected here.
    boldref_affine : (4, 4) array
        Voxel to world, mm.
    field_hz : (x, y, z) array
        Field at undistorted places, on the grid of the EPI.
    anatomy : (x', y', z') array
        Bias-corrected T1w or T2w image; the contrast may be any.
    anatomy_affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain on the EPI grid.
    anatomy_mask : (x', y', z') bool array
        Brain on the anatomy's grid. Where the two masks, shrunk by a few mm, overlap, the images
        are compared: at the edge of the brain fluid, bone and scalp follow other rules of contrast.
    direction : str
        PhaseEncodingDirection.
    readout_s : float
        Total readout time in s.
    to_anatomy : (4, 4) array, optional
        Point map EPI world -> anatomy world: the inverse of the coregistration matrix; identity by
        default.
    min_z : float
        Smallest |z| that counts as clear.

    Returns
    -------
    FieldSignEvidence

    Raises
    ------
    GridMismatchError
        When EPI, field and mask differ in shape.
    DataError
        When the mask is empty, or the anatomy does not reach it.
    """
    shapes = {np.shape(boldref), np.shape(field_hz), np.shape(mask)}
    if len(shapes) > 1:
        message = f"EPI, field and mask differ in shape: {sorted(shapes)}."
        raise GridMismatchError(message)
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        message = "the EPI brain mask is empty."
        raise DataError(message)
    epi = bias_correct(boldref, boldref_affine, mask, working_mm=6.0, iterations=(30,))
    pe_axis, _ = pe_axis_sign(direction)
    size = float(affines.voxel_sizes(boldref_affine)[pe_axis])
    shift = voxel_shift(field_hz, direction=direction, readout_s=readout_s)
    shift_p95 = float(np.percentile(np.abs(shift[mask]), 95) * size)
    start = np.eye(4) if to_anatomy is None else np.asarray(to_anatomy, dtype=np.float64)
    voxel = max(_WORKING_MM, float(affines.voxel_sizes(boldref_affine).max()))
    coarse_mask, grid = grids.coarsen(mask, boldref_affine, voxel_mm=voxel)
    inner = masks.dilated(coarse_mask > 0.5, grid, -_EDGE_MM)
    target = _Target(anatomy, anatomy_affine, inner, grid)
    projected = grids.onto(
        masks.dilated(np.asarray(anatomy_mask, dtype=bool), anatomy_affine, -_EDGE_MM),
        anatomy_affine,
        inner.shape,
        grid,
        matrix=start,
    )
    target.mask &= projected > 0.5
    if np.count_nonzero(target.mask) < _LEAST_VOXELS:
        message = (
            "the brain masks of EPI and anatomy hardly overlap: check the coregistration "
            f"({np.count_nonzero(target.mask)} common voxels of {voxel:g} mm)."
        )
        raise DataError(message)
    if np.ptp(target.at(start)[target.mask]) == 0:
        message = "the anatomy is constant over the EPI brain mask: check the coregistration."
        raise DataError(message)
    blocks = {}
    for name, factor in (("plus", 1.0), ("zero", 0.0), ("minus", -1.0)):
        moved, _ = grids.coarsen(
            _pull(epi, factor * shift, pe_axis), boldref_affine, voxel_mm=voxel
        )
        blocks[name] = target.settle(moved, start)
    return _weigh(blocks, shift_p95, min_z)


class _Target:
    """The anatomy, ready to be compared with versions of the EPI on a working grid."""

    def __init__(
        self, anatomy: np.ndarray, affine: np.ndarray, mask: np.ndarray, grid: np.ndarray
    ) -> None:
        voxel = float(affines.voxel_sizes(grid).max())
        clean = np.nan_to_num(np.asarray(anatomy, dtype=np.float32))
        voxel = max(voxel, float(affines.voxel_sizes(affine).max()))
        self.volume, self.affine = grids.coarsen(clean, affine, voxel_mm=voxel)
        self.mask, self.grid = mask, grid
        self.box = tuple(int(n) | 1 for n in np.maximum(3, np.round(_BOX_MM / voxel * np.ones(3))))
        self.centre = affines.apply(grid, np.argwhere(mask).mean(axis=0))

    def at(self, matrix: np.ndarray) -> np.ndarray:
        """Return the anatomy on the working grid for a point map EPI -> anatomy."""
        return grids.onto(self.volume, self.affine, self.mask.shape, self.grid, matrix=matrix)

    def settle(self, epi: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search the rigid position around the start; return the block scores of the best."""

        def blocks(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            matrix = start @ affines.rigid_matrix(parameters, self.centre)
            return _block_scores(epi, self.at(matrix), self.mask, self.box)

        best = np.zeros(6)
        found = blocks(best)
        for step in _STEPS_MM:
            for axis in list(range(6)) * _ROUNDS:
                for sign in (-1.0, 1.0):
                    trial = best.copy()
                    trial[axis] += sign * step * (1.0 if axis < 3 else _RADIANS_PER_MM)
                    sums = blocks(trial)
                    if _mean(sums) > _mean(found):
                        best, found = trial, sums
                        break
        return found


def _mean(sums: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the weighted mean score of all blocks."""
    return float(sums[0].sum() / max(sums[1].sum(), 1e-30))


def _pull(volume: np.ndarray, shift: np.ndarray, axis: int) -> np.ndarray:
    """Read a volume at positions shifted along one axis."""
    index = list(np.indices(volume.shape, dtype=np.float32))
    index[axis] = index[axis] + shift.astype(np.float32)
    return ndimage.map_coordinates(volume, index, order=1, mode="nearest")


def _block_scores(
    a: np.ndarray, b: np.ndarray, mask: np.ndarray, box: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted score sums and weights in blocks that do not share voxels."""
    squared, weight = local_correlation(a, b, mask, size=box)
    weight = np.sqrt(weight)
    edges = [-(-n // (2 * b)) for n, b in zip(mask.shape, box, strict=True)]
    index = [np.minimum(np.arange(n) // (2 * b), e - 1)
             for n, b, e in zip(mask.shape, box, edges, strict=True)]  # fmt: skip
    label = (index[0][:, None, None] * edges[1] + index[1][None, :, None]) * edges[2]
    label = (label + index[2]).ravel()
    return (
        np.bincount(label, (squared * weight).ravel()),
        np.bincount(label, weight.ravel()),
    )


def _weigh(
    blocks: dict[str, tuple[np.ndarray, np.ndarray]], shift_p95: float, min_z: float
) -> FieldSignEvidence:
    """Turn block scores into scores, a margin and a verdict."""
    scores = {name: _mean(sums) for name, sums in blocks.items()}
    margin, margin_z = _difference(blocks["plus"], blocks["minus"])
    _, zero_z = _difference(blocks["plus"], blocks["zero"])
    if margin_z <= -min_z:
        verdict = "minus"
    elif zero_z <= -min_z:
        verdict = "zero"
    else:
        verdict = "plus" if margin_z >= min_z else "undecided"
    return FieldSignEvidence(scores, verdict, margin, margin_z, zero_z, shift_p95)


def _difference(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Return the difference of two mean scores and its ratio to its standard error."""
    difference = _mean(a) - _mean(b)
    # Each block adds to both means: the spread of its contribution is that of the difference.
    share = [(x[0] - _mean(x) * x[1]) / max(x[1].sum(), 1e-30) for x in (a, b)]
    error = float(np.sqrt(np.sum((share[0] - share[1]) ** 2)))
    return difference, difference / error if error > 0 else 0.0
