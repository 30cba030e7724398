"""How well an EPI reference matches the T1w image under a given alignment."""

import numpy as np

from mebold.anat.bias import bias_correct
from mebold.geometry import affines, grids, masks
from mebold.registration import unlike
from mebold.registration.similarity import dice

_REACH_MM = 6.0


def agreement(
    matrix: np.ndarray,
    boldref: np.ndarray,
    boldref_affine: np.ndarray,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    *,
    boldref_mask: np.ndarray,
    t1w_mask: np.ndarray,
) -> dict:
    """Measure how well an EPI reference matches the T1w image under a given alignment.

    Parameters
    ----------
    matrix : (4, 4) array
        Point map T1w -> EPI, world mm.
    boldref, boldref_affine, t1w, t1w_affine, boldref_mask, t1w_mask
        As in `mebold.coreg.align.boldref_to_t1w`.

    Returns
    -------
    dict
        ``mutual_information``, ``mask_dice`` and ``coverage`` as in `align.boldref_to_t1w`, and
        ``mutual_information_nearby``: the largest of twelve neighbours, 4 mm along and 4 degrees
        about every axis away (more for voxels above 4 mm). A right alignment has less there,
        whatever the contrast.
    """
    boldref = np.nan_to_num(np.asarray(boldref, dtype=np.float32), posinf=0.0, neginf=0.0)
    epi = bias_correct(boldref, boldref_affine, masks.dilated(boldref_mask, boldref_affine, 3.0))
    fixed = working_t1w(t1w, t1w_affine, t1w_mask, boldref_affine)
    moving = dim_outside(epi, boldref_affine, boldref_mask)
    score = unlike.scorer(fixed[:3], moving, boldref_affine)
    nearby = unlike.nearby(score, matrix, fixed[1], fixed[3])
    overlap = overlap_of(matrix, t1w_mask, t1w_affine, boldref_mask, boldref_affine)
    return {"mutual_information": score(matrix), "mutual_information_nearby": nearby, **overlap}


def working_t1w(
    t1w: np.ndarray, affine: np.ndarray, mask: np.ndarray, boldref_affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut and coarsen the T1w image to the EPI's resolution: image, affine, wide mask, brain."""
    wide = masks.dilated(mask, affine, _REACH_MM)
    image = np.where(wide, np.minimum(t1w, np.percentile(t1w[mask], 99.5)), 0.0)
    image, box_affine, box = grids.crop_to_mask(image, affine, wide, margin_mm=3.0)
    voxel = max(1.5, float(affines.voxel_sizes(boldref_affine).min()))
    voxel = max(voxel, float(affines.voxel_sizes(affine).max()))
    coarse, coarse_affine = grids.coarsen(image, box_affine, voxel_mm=voxel)
    grid = (coarse.shape, coarse_affine)
    reach = masks.dilated(mask, affine, 3.0)[box]
    near, brain = (grids.onto(m, box_affine, *grid) > 0.5 for m in (reach, mask[box]))
    return coarse, coarse_affine, near, brain


def dim_outside(epi: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Clip the EPI's brightest voxels and remove what lies far from the brain."""
    near = masks.dilated(mask, affine, _REACH_MM)
    return np.where(near, np.minimum(epi, np.percentile(epi[mask], 99.5)), 0.0)


def overlap_of(
    matrix: np.ndarray,
    t1w_mask: np.ndarray,
    t1w_affine: np.ndarray,
    boldref_mask: np.ndarray,
    boldref_affine: np.ndarray,
) -> dict:
    """Return the Dice overlap on the EPI grid and the share of the brain that the EPI covers."""
    projected = grids.onto(
        t1w_mask, t1w_affine, boldref_mask.shape, boldref_affine, matrix=np.linalg.inv(matrix)
    )
    points = affines.apply(matrix, affines.grid_points(t1w_mask.shape, t1w_affine, t1w_mask))
    inside = grids.hold(boldref_mask.shape, boldref_affine, points)
    return {
        "mask_dice": dice(projected > 0.5, boldref_mask),
        "coverage": float(inside.mean()),
    }
