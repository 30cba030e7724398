"""Evidence for the sign of a distortion correction, from the anatomy."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold import affines, regrid
from mebold.errors import DataError, GridMismatchError
from mebold.similarity import local_correlation

_WORKING_MM = 2.5
_BOX_MM = 12.0
# Mean shifts along the phase-encoding axis that an alignment may have absorbed.
_SLIDES_MM = (-5.0, -2.5, 0.0, 2.5, 5.0)


@dataclass(frozen=True)
class FieldSignEvidence:
    """How well the EPI fits the anatomy with the field as given, without, and reversed.

    Attributes
    ----------
    scores : dict of str to float
        ``plus``, ``zero``, ``minus``: mean squared local correlation with the anatomy, 0 to 1.
    verdict : str
        ``plus`` (the sign is right), ``zero`` (no correction fits better), ``minus`` (the sign is
        wrong) or ``undecided``.
    margin : float
        Score of ``plus`` minus the better one of the others.
    margin_z : float
        The margin over its standard error between independent blocks of the brain.
    shift_p95_mm : float
        95th percentile of the correction's size in the brain: small shifts leave no evidence.
    """

    scores: dict[str, float]
    verdict: str
    margin: float
    margin_z: float
    shift_p95_mm: float


def field_sign_evidence(
    boldref: np.ndarray,
    boldref_affine: np.ndarray,
    shift_voxels: np.ndarray,
    anatomy: np.ndarray,
    anatomy_affine: np.ndarray,
    *,
    mask: np.ndarray,
    pe_axis: int,
    to_anatomy: np.ndarray | None = None,
    min_z: float = 3.0,
) -> FieldSignEvidence:
    """Compare the EPI, corrected with the field, without and with its negative, with the anatomy.

    Each version may slide along the phase-encoding axis by a few mm, because an alignment made
    with one of them has absorbed that version's mean shift.

    Parameters
    ----------
    boldref : (x, y, z) array
        Distorted EPI reference.
    boldref_affine : (4, 4) array
        Voxel to world, mm.
    shift_voxels : (x, y, z) array
        Where a voxel of the undistorted head is found, in voxels along `pe_axis`: the sign of the
        phase-encoding direction times field in Hz times total readout time in s.
    anatomy : (x', y', z') array
        Bias-corrected T1w or T2w image; the contrast may be any.
    anatomy_affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain on the EPI grid.
    pe_axis : int
        Voxel axis of the phase encoding, 0 to 2.
    to_anatomy : (4, 4) array, optional
        Point map EPI world -> anatomy world: the inverse of the coregistration matrix; identity by
        default.
    min_z : float
        Smallest |`margin_z`| for a verdict.

    Returns
    -------
    FieldSignEvidence

    Raises
    ------
    GridMismatchError
        When EPI, shift and mask differ in shape.
    DataError
        When the mask is empty, or the anatomy does not reach it.
    """
    shapes = {np.shape(boldref), np.shape(shift_voxels), np.shape(mask)}
    if len(shapes) > 1:
        message = f"EPI, shift and mask differ in shape: {sorted(shapes)}."
        raise GridMismatchError(message)
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        message = "the EPI brain mask is empty."
        raise DataError(message)
    epi = np.nan_to_num(np.asarray(boldref, dtype=np.float32))
    target = _anatomy_on_epi(anatomy, anatomy_affine, mask.shape, boldref_affine, to_anatomy)
    if np.ptp(target[mask]) == 0:
        message = "the anatomy is constant over the EPI brain mask: check the coregistration."
        raise DataError(message)
    sizes = affines.voxel_sizes(boldref_affine)
    box = tuple(int(n) | 1 for n in np.maximum(3, np.round(_BOX_MM / sizes)))
    inner = np.where(mask, np.asarray(shift_voxels, dtype=np.float32), 0.0)
    shift_p95 = float(np.percentile(np.abs(inner[mask]), 95) * sizes[pe_axis])
    blocks = {}
    for name, factor in (("plus", 1.0), ("zero", 0.0), ("minus", -1.0)):
        candidates = []
        for slide in _SLIDES_MM:
            moved = _pull(epi, factor * shift_voxels + slide / sizes[pe_axis], pe_axis)
            candidates.append(_block_scores(moved, target, mask, box))
        blocks[name] = max(candidates, key=lambda pair: pair[0].sum() / pair[1].sum())
    return _weigh(blocks, shift_p95, min_z)


def _anatomy_on_epi(
    anatomy: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    epi_affine: np.ndarray,
    to_anatomy: np.ndarray | None,
) -> np.ndarray:
    """Bring the anatomy to the EPI's resolution and grid."""
    voxel = max(float(affines.voxel_sizes(a).max()) for a in (epi_affine, affine))
    clean = np.nan_to_num(np.asarray(anatomy, dtype=np.float32))
    coarse, coarse_affine = regrid.coarsen(clean, affine, voxel_mm=voxel)
    return regrid.onto(coarse, coarse_affine, shape, epi_affine, matrix=to_anatomy)


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
    scores = {name: float(s.sum() / w.sum()) for name, (s, w) in blocks.items()}
    ranked = sorted(scores, key=scores.get, reverse=True)
    best, second = ranked[:2]
    rival = second if best == "plus" else best
    margin, z = _difference(blocks["plus"], blocks[rival])
    _, z_best = _difference(blocks[best], blocks[second])
    verdict = best if z_best >= min_z else "undecided"
    return FieldSignEvidence(scores, verdict, margin, z, shift_p95)


def _difference(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Return the difference of two mean scores and its ratio to its standard error."""
    weight = a[1]
    difference = float(a[0].sum() / weight.sum() - b[0].sum() / b[1].sum())
    deviation = (a[0] - b[0]) - difference * weight
    error = float(np.sqrt(np.sum(deviation**2)) / weight.sum())
    return difference, difference / error if error > 0 else 0.0
