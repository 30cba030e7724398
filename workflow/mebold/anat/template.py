"""Alignment of a T1w image with a template: rigid, affine and nonlinear, in both directions."""

from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, displacement, grids, interpolation, masks
from mebold.registration.ants import Stage, nearest_rigid, register_linear
from mebold.registration.ants_syn import register_syn
from mebold.registration.similarity import dice

_LINEAR = {"smoothing_mm": (4.0, 2.0), "sampling": 0.25, "converged": 1e-7}
_RIGID = Stage("Rigid", shrink=(4, 2), iterations=(200, 100), **_LINEAR)
_AFFINE = Stage("Affine", shrink=(4, 2), iterations=(200, 100), **_LINEAR)
_SYN = {"iterations": (80, 50, 20), "radius": 2}
_MARGIN_MM = 20.0
#: Over the 95th percentile of a brain, added to all of it.
_LIFT = 0.6


@dataclass(frozen=True)
class Brain:
    """A brain image with its mask.

    Attributes
    ----------
    image : (x, y, z) array
        T1-weighted; what lies outside the mask is not used.
    mask : (x, y, z) bool array
    affine : (4, 4) array
        Voxel to world, mm.
    """

    image: np.ndarray
    mask: np.ndarray
    affine: np.ndarray

    def extracted(self, voxel_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return image without head, its mask and affine, at a voxel size or as they are."""
        image = np.where(self.mask, np.nan_to_num(self.image), 0.0).astype(np.float32)
        if voxel_mm <= affines.voxel_sizes(self.affine).min():
            return image, self.mask, self.affine
        coarse, affine = grids.coarsen(image, self.affine, voxel_mm=voxel_mm)
        mask = grids.coarsen(self.mask, self.affine, voxel_mm=voxel_mm)[0] > 0.5
        return coarse, mask, affine


@dataclass(frozen=True)
class Alignment:
    """Displacement fields between a template and a T1w image; each a pull, in mm, RAS+.

    Attributes
    ----------
    to_t1w : (x, y, z, 3) float32 array
        At points of the template: leads to the point of the T1w. Resamples the T1w onto the
        template.
    template_affine : (4, 4) array
        Voxel to world of `to_t1w`.
    to_template : (x', y', z', 3) float32 array
        At points of the T1w: leads to the point of the template.
    t1w_affine : (4, 4) array
        Voxel to world of `to_template`.
    """

    to_t1w: np.ndarray
    template_affine: np.ndarray
    to_template: np.ndarray
    t1w_affine: np.ndarray


def align(template: Brain, t1w: Brain, *, voxel_mm: float, seed: int) -> Alignment:
    """Register the brain of a T1w image to that of a template.

    Both are compared without what surrounds the brain, because templates differ in how much of the
    head they show.

    Parameters
    ----------
    template, t1w : Brain
        Grids and orientations may differ.
    voxel_mm : float
        Voxel size of the registration and of the fields; the images' own where it is larger.
    seed : int
        Of the sampling of the metric.

    Returns
    -------
    Alignment

    References
    ----------
    Avants et al. 2008, Medical Image Analysis 12:26; rigid and affine start by mutual information.
    """
    images = [brain.extracted(voxel_mm) for brain in (template, t1w)]
    start = np.eye(4)
    start[:3, 3] = np.subtract(*(_centre(mask, affine) for _, mask, affine in images[::-1]))
    boxed = [
        grids.crop_to_mask(image, affine, mask, margin_mm=_MARGIN_MM)
        for image, mask, affine in images
    ]
    pair = [(image, affine) for image, affine, _ in boxed]
    (fixed, fixed_mask, fixed_affine), (whole, _, whole_affine) = images
    around = masks.dilated(fixed_mask[boxed[0][2]], fixed_affine, 3 * voxel_mm)
    options = {"seed": seed, "fixed_mask": around}
    rigid = nearest_rigid(register_linear(*pair, stages=[_RIGID], initial=start, **options))
    matrix = register_linear(*pair, stages=[_AFFINE], initial=rigid, **options)
    u, v = register_syn(*pair, initial=matrix, fixed_mask=around, seed=seed, **_SYN)
    box, box_affine = boxed[0][2], pair[0][1]
    x = affines.grid_points(fixed.shape, fixed_affine)
    bent = np.zeros((*fixed.shape, 3), np.float32)
    bent[box] = u  # far from the brain the way is affine
    to_t1w = affines.apply(matrix, x + bent.reshape(-1, 3)) - x
    y = affines.grid_points(whole.shape, whole_affine)
    z = affines.apply(np.linalg.inv(matrix), y)
    inside = ~displacement.outside(v.shape, box_affine, z)[:, np.newaxis]
    to_template = z + inside * displacement.at_points(v, box_affine, z) - y
    return Alignment(
        to_t1w.reshape(bent.shape).astype(np.float32),
        fixed_affine,
        to_template.reshape(*whole.shape, 3).astype(np.float32),
        whole_affine,
    )


def lifted(brain: Brain) -> Brain:
    """Raise a brain above what surrounds it, for images in which fluid is as dark as air.

    In the combined image of an MP2RAGE the outline of the brain is not seen otherwise, and a
    template is laid on its visible part: a simulated one lost 12 % of its volume, landmarks were
    off by 3.1 mm; lifted 0.9 % and 1.7 mm (voxels of 3 mm, registration at 5 mm).
    """
    step = _LIFT * float(np.percentile(brain.image[brain.mask], 95.0))
    return Brain(np.where(brain.mask, brain.image + step, 0.0), brain.mask, brain.affine)


def _centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return affines.apply(affine, np.argwhere(mask).mean(axis=0))


def quality(template: Brain, t1w: Brain, alignment: Alignment) -> tuple[dict, np.ndarray]:
    """Compare the aligned T1w with the template.

    Parameters
    ----------
    template, t1w : Brain
    alignment : Alignment

    Returns
    -------
    numbers : dict
        ``correlation`` of the images in the brain of the template, ``mask_dice`` of the masks,
        ``round_trip_mm``: 95th percentile over the brain of the distance from a point to where
        the two fields, one after the other, take it; ``displacement_mm``: median.
    moved : (x, y, z) float32 array
        The T1w on the grid of `alignment.to_t1w`.
    """
    size = float(affines.voxel_sizes(alignment.template_affine).max())
    fixed, mask, affine = template.extracted(size)
    points = affines.grid_points(fixed.shape, affine)
    there = points + alignment.to_t1w.reshape(-1, 3)
    image, brain, own = t1w.extracted(size)
    moved = interpolation.resample_volume(image, own, there, order=1).reshape(fixed.shape)
    brain = brain.astype(np.float32)
    brain = interpolation.resample_volume(brain, own, there, order=1).reshape(fixed.shape) > 0.5
    inside = mask.ravel()
    back = displacement.at_points(alignment.to_template, alignment.t1w_affine, there[inside])
    off = np.linalg.norm(there[inside] + back - points[inside], axis=1)
    return {
        "correlation": float(np.corrcoef(fixed[mask], moved[mask])[0, 1]),
        "mask_dice": dice(brain, mask),
        "round_trip_mm": float(np.percentile(off, 95)),
        "displacement_mm": float(np.median(np.linalg.norm(there - points, axis=1)[inside])),
    }, moved


def given(
    image: np.ndarray, affine: np.ndarray, mask: np.ndarray, mask_affine: np.ndarray
) -> Brain:
    """Return the brain of a template of the user, (x, y, z) image and bool mask on one grid.

    Raises
    ------
    GridMismatchError
        When they are no volumes of one grid.
    DataError
        When the mask is empty.
    """
    if image.ndim != 3 or not affines.same_grid(image.shape, affine, mask.shape, mask_affine):
        message = (
            f"`template.image` has the shape {image.shape}, `template.mask` {mask.shape}, or their "
            "affines differ: both must be 3D on one grid."
        )
        raise GridMismatchError(message)
    if not mask.any():
        raise DataError("`template.mask` holds no voxel: give the brain mask of the template.")
    return Brain(image, mask, affine)
