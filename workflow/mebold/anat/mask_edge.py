"""Where a brain mask ends: at the template's distance from the tissue of the image.

Fluid at the edge is as dark as the skull in a T1w, so no intensity tells where the brain ends. The
template knows how thick the fluid over the tissue is, and the surface of the tissue is plain to
see: where the template's registered tissue ends too far in or out, its mask does, too.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from mebold.anat import mni, partial_volume
from mebold.errors import DataError
from mebold.geometry import affines, grids, masks

_CORE_MM = 4.0
_BEYOND_MM = 3.0  # no mask reaches further outside the template's
_SCALP_MM = 9.0
# Surfaces are compared on one grid for all images: finer voxels show finer sulci, and cost more.
_WORKING_MM = 2.0
# Cuts thin bridges of dura and vessels, on both surfaces alike.
_OPEN_MM = 2.0
# Closes sulci: their depth differs between heads, and in an average of heads.
_CLOSE_MM = 6.0
_SMOOTH_MM = 6.0  # about a gyrus
_NEAR_MM = 3.0  # SD of the weight around the edge: signed distances deep inside tell nothing
_MOST_MM = 3.0  # further apart, it is other tissue, or a cistern
# A registration errs from place to place, hardly on the whole (up to 0.4 mm on simulated and real
# heads): more than that is intensities, as in blurred images, where nothing is pure.
_WHOLE_MM = 0.4
_FAR_MM = 16.0  # air around the template, whose lower face cuts the brain
_TISSUE = 0.4  # of white matter, where the image has no three tissues


@dataclass(frozen=True)
class Edges:
    """Signed distances in mm from two surfaces of the template, negative inside.

    Attributes
    ----------
    brain, hull : (x, y, z) float32 array
        From the edge of the brain, and from the surface of grey and white matter with closed sulci.
    affine : (4, 4) array
        Voxel to world, mm.
    """

    brain: np.ndarray
    hull: np.ndarray
    affine: np.ndarray


@lru_cache(maxsize=1)
def template_edges() -> Edges:
    """Return the edges in MNI152 space, with air around the template's field of view."""
    maps, affine = mni.load_template(_WORKING_MM)
    pad = int(_FAR_MM / _WORKING_MM)
    affine = affine.copy()
    affine[:3, 3] = affines.apply(affine, np.full(3, -pad))
    brain = np.pad(maps["brain"], pad) > 0.5
    tissue = brain & (np.pad(maps["gm"] + maps["wm"], pad) > 0.5)
    distance = signed_distance(brain, affine)
    hull = smooth_hull(tissue, distance < -_CORE_MM, affine)
    return Edges(distance, signed_distance(hull, affine), affine)


def signed_distance(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the (x, y, z) float32 distance in mm from the surface of a mask, negative inside."""
    sizes = affines.voxel_sizes(affine)
    outside = ndimage.distance_transform_edt(~mask, sampling=sizes)
    outside -= ndimage.distance_transform_edt(mask, sampling=sizes)
    # Distances are those of voxels: the surface lies half a voxel before the first one.
    return (outside - np.sign(outside) * sizes.mean() / 2).astype(np.float32)


def refine_mask(
    volume: np.ndarray, affine: np.ndarray, edges: Edges, *, scalp: np.ndarray
) -> np.ndarray:
    """Move the edge of the template's mask to where the image has it.

    Parameters
    ----------
    volume : (x, y, z) array
        Bias-corrected T1w.
    affine : (4, 4) array
        Voxel to world, mm.
    edges : Edges
        Of the registered template, in the world of the image, on any grid.
    scalp : (x, y, z) bool array
        Voxels known to lie outside.

    Returns
    -------
    (x, y, z) bool array
        Within what a watershed from the inside of the brain reaches before one from the scalp.

    Raises
    ------
    DataError
        When the template's mask has no inside.
    """
    brain = grids.onto(edges.brain, edges.affine, volume.shape, affine, mode="nearest")
    core = (brain < -_CORE_MM) & ~scalp
    if not core.any():
        message = "the registered template mask is empty: the registration failed."
        raise DataError(message)
    limit = (brain < _BEYOND_MM) & ~scalp
    reached = flooded(volume, affine, core, scalp, limit | (scalp & (brain < _SCALP_MM)))
    limit &= reached
    share = tissue_share(volume, affine, core)
    if share is None:
        tissue = limit & (volume > _TISSUE * np.percentile(volume[core], 75.0))
    else:
        share[~limit & ~core] = 0
        brain += edge_shift(share, affine, edges)
        tissue = limit & (share > 0.5)
    # What tissue is left beyond the edge belongs to the brain.
    found = _opened(tissue | core, core, affine) | (reached & (brain < 0))
    soft = ndimage.gaussian_filter(found.astype(np.float32), 1.2 / affines.voxel_sizes(affine))
    return ndimage.binary_fill_holes(masks.largest_component(soft > 0.5))


def flooded(volume, affine, core, scalp, near) -> np.ndarray:
    """Flood dark valleys last, from the core and from the scalp, and return the core's part."""
    from skimage.segmentation import watershed

    white = float(np.percentile(volume[core], 75.0))
    smooth = ndimage.gaussian_filter(np.minimum(volume, white), 0.8 / affines.voxel_sizes(affine))
    markers = np.where(core, 1, np.where(scalp, 2, 0)).astype(np.int8)
    return watershed(-smooth, markers, mask=near) == 1


def tissue_share(volume: np.ndarray, affine: np.ndarray, core: np.ndarray) -> np.ndarray | None:
    """Return how much of each voxel is tissue, if the rest is fluid.

    Parameters
    ----------
    volume : (x, y, z) array
        Bias-corrected T1w.
    affine : (4, 4) array
        Voxel to world, mm.
    core : (x, y, z) bool array
        Inside of the brain, where the intensities of fluid and grey matter are read.

    Returns
    -------
    (x, y, z) float32 array or None
        Linear from fluid to grey matter: half of it lies at the surface, in voxels of any size.
        None without three tissues in the order of a T1w.
    """
    from skimage.filters import threshold_multiotsu

    try:
        bounds = threshold_multiotsu(volume[core], classes=3)
    except ValueError:  # fewer than three values
        return None
    kind = np.digitize(volume, bounds)
    classes = {name: core & (kind == k) for k, name in enumerate(("CSF", "GM", "WM"))}
    pure = partial_volume.pure_intensities(volume, affine, classes)
    if pure is None:
        return None
    fluid, grey = pure["CSF"][0], pure["GM"][0]
    return np.clip((volume - fluid) / (grey - fluid), 0, 1).astype(np.float32)


def edge_shift(share: np.ndarray, affine: np.ndarray, edges: Edges) -> np.ndarray:
    """Return how far inside the template's edge that of the image lies.

    Parameters
    ----------
    share : (x, y, z) array
        How much of each voxel is tissue of the brain.
    affine : (4, 4) array
        Voxel to world, mm.
    edges : Edges
        Of the registered template.

    Returns
    -------
    (x, y, z) float32 array
        Mm, positive where the image has less tissue than the template; smooth, 3 mm at most, and
        0.4 mm on the average.
    """
    from skimage.transform import downscale_local_mean

    # Means of whole voxels: interpolation would flatten the crowns of gyri.
    steps = np.maximum(1, np.round(_WORKING_MM / affines.voxel_sizes(affine))).astype(int)
    coarse = downscale_local_mean(share, tuple(steps))
    coarse_affine = affine @ np.diag([*steps, 1.0])
    coarse_affine[:3, 3] = affines.apply(affine, (steps - 1) / 2)
    brain, hull = (
        grids.onto(one, edges.affine, coarse.shape, coarse_affine, mode="nearest")
        for one in (edges.brain, edges.hull)
    )
    own = signed_distance(
        smooth_hull(coarse > 0.5, brain < -_CORE_MM, coarse_affine), coarse_affine
    )
    apart = np.clip(own - hull, -_MOST_MM, _MOST_MM)
    weight = np.exp(-0.5 * (brain / _NEAR_MM) ** 2)
    whole = float((weight * apart).sum() / weight.sum())
    apart -= whole - np.clip(whole, -_WHOLE_MM, _WHOLE_MM)
    wide = _SMOOTH_MM / affines.voxel_sizes(coarse_affine)
    total = np.maximum(ndimage.gaussian_filter(weight, wide), 1e-6)
    shift = ndimage.gaussian_filter(weight * apart, wide) / total
    return grids.onto(shift, coarse_affine, share.shape, affine, mode="nearest")


def smooth_hull(tissue: np.ndarray, core: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return tissue without thin bridges and with its sulci closed."""
    solid = masks.closed(_opened(tissue | core, core, affine), affine, _CLOSE_MM)
    return ndimage.binary_fill_holes(solid)


def _opened(tissue: np.ndarray, core: np.ndarray, affine: np.ndarray) -> np.ndarray:
    thick = masks.largest_component(masks.dilated(tissue, affine, -_OPEN_MM) | core)
    return tissue & masks.dilated(thick, affine, _OPEN_MM + 0.5)
