"""Brain mask of a T1-weighted image, with or without skull, from the MNI152 template.

A correlation search over the whole field of view finds the brain, an affine and a quick nonlinear
registration carry the template's mask over, and the image's own intensities settle its edge.
"""

import logging

import numpy as np
from scipy import ndimage, signal

from mebold.anat import mask_edge, mni
from mebold.anat.bias import bias_correct
from mebold.anat.evenness import even_t1w
from mebold.errors import DataError
from mebold.geometry import affines, grids, masks
from mebold.geometry.masks import foreground_mask
from mebold.registration import ants_syn
from mebold.registration.affine import fit_affine

logger = logging.getLogger(__name__)

_SEARCH_MM = 8.0
_AFFINE_MM = 4.0
_NONLINEAR_MM = 4.0
_SEED = 1
_SCALP_MM = 4.5
# Scalp and skull of one head are 10 mm thick, of another one 17; the last is for images without.
_PEELS_MM = (9.0, 17.0, 0.0)
_SEAL_MM = 15.0
_GAP_MM = 4.0  # in the outline of an image without skull
_RIM_MM = 4.0
_LEAST_CORRELATION = 0.2
# Of what is not air: the scalp may touch nothing else, noise and wrapped noses are smaller.
_LEAST_PART = 0.1
_PITCHES_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)
# The template is larger than most brains; larger ones would match the outline of the scalp.
_SCALES = (0.82, 0.89, 0.96, 1.03)


def brain_mask(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in a T1-weighted image.

    Parameters
    ----------
    volume : (x, y, z) array
        Whole head, face removed or not, with any amount of neck, or already without skull; any
        bias field, any orientation.
    affine : (4, 4) array
        Voxel to world, mm.

    Returns
    -------
    (x, y, z) bool array
        Brain and the fluid around it: one connected part without holes.

    Raises
    ------
    DataError
        When the volume has no positive voxel, or nothing like a brain is found in it.
    """
    clean = np.maximum(np.nan_to_num(np.asarray(volume, dtype=np.float32), posinf=0.0), 0.0)
    foreground = foreground_mask(clean, least_part=_LEAST_PART)
    head, head_affine, box = grids.crop_to_mask(clean, affine, foreground, margin_mm=5.0)
    inside = foreground[box]
    even = bias_correct(head, head_affine, inside, working_mm=6.0, iterations=(30,))
    # Scalp near a surface coil outshines the brain several times: keep its order, cut its size.
    even = np.minimum(even, 1.5 * np.median(even[inside]))
    # Without the scalp the outline of the head cannot be taken for that of the brain.
    skin = _depth(even, inside, head_affine)
    fits = [_locate(np.where(skin > depth, even, 0.0), head_affine) for depth in _PEELS_MM]
    # What is inside decides: an outline fits that of the scalp as well as that of the brain.
    structures = [_inner_correlation(even, head_affine, fit) for fit, _ in fits]
    best = int(np.argmax(structures))
    (to_head, correlation), structure = fits[best], structures[best]
    logger.info("affine fit to MNI152: correlation %.2f, inside %.2f", correlation, structure)
    if structure < _LEAST_CORRELATION:
        message = (
            f"no brain found: inside the best position of the MNI152 template the image correlates "
            f"{structure:.2f} with it, at least {_LEAST_CORRELATION} is expected of a T1w head."
        )
        raise DataError(message)
    mask = np.zeros(clean.shape, dtype=bool)
    if _is_stripped(inside, head_affine, to_head):
        logger.info("the image has no skull: its own outline is the brain mask")
        mask[box] = _outline(inside, head_affine)
        return mask
    inner = _template_brain(head.shape, head_affine, to_head, grow_mm=-_RIM_MM) & inside
    even = even_t1w(head, head_affine, inner)
    even = np.minimum(even, 1.3 * np.median(even[inner]))
    peeled = np.where(_within_skull(even, head_affine, to_head, skin), even, 0.0)
    to_head, _ = _affine_to_head(peeled, head_affine, to_head, widths_mm=(6.0,))
    edges = _registered_edges(peeled, head_affine, to_head)
    mask[box] = mask_edge.refine_mask(even, head_affine, edges, scalp=skin < _SCALP_MM)
    return mask


def _depth(volume: np.ndarray, foreground: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the distance in mm from the air around the head, 0 in the air."""
    solid = foreground & (volume > 0.3 * np.median(volume[foreground]))
    sizes = affines.voxel_sizes(affine)
    # Airways and ears reach far in and are no skin either: a wide closing seals them. The cut
    # through the neck is continued over the edge of the image.
    pad = np.ceil(_SEAL_MM / sizes).astype(int) + 1
    padded = np.pad(solid, [(n, n) for n in pad], mode="edge")
    sealed = masks.dilated(masks.dilated(padded, affine, _SEAL_MM), affine, -_SEAL_MM)
    distance = ndimage.distance_transform_edt(
        ndimage.binary_fill_holes(sealed | padded), sampling=sizes
    )
    inner = tuple(slice(n, n + size) for n, size in zip(pad, solid.shape, strict=True))
    return distance[inner].astype(np.float32)


def _within_skull(
    volume: np.ndarray, affine: np.ndarray, to_head: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """Return what a watershed from the middle of the brain reaches before one from the skin."""
    near = _template_brain(volume.shape, affine, to_head, grow_mm=20.0)
    core = _template_brain(volume.shape, affine, to_head, grow_mm=-12.0) & (skin > 2 * _SCALP_MM)
    return mask_edge.flooded(volume, affine, core, near & (skin < _SCALP_MM), near)


def _locate(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, float]:
    """Search for the brain and fit the template: MNI152 -> head, and the correlation."""
    return _affine_to_head(volume, affine, find_brain(volume, affine))


def find_brain(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the rough place, pitch and size of the brain anywhere in the field of view.

    Normalised correlation of the template with the image is computed at every position by
    Fourier transform, for a few head pitches and sizes.

    Parameters
    ----------
    volume : (x, y, z) array
        Bias-corrected T1w.
    affine : (4, 4) array
        Voxel to world, mm; the world axes must point roughly right, anterior, superior.

    Returns
    -------
    (4, 4) float64 array
        Point map MNI152 -> image world.
    """
    image, image_affine = _axis_aligned(volume, affine, _SEARCH_MM)
    maps, template_affine = mni.load_template(_AFFINE_MM)
    weight = masks.dilated(maps["brain"] > 0.5, template_affine, 6.0).astype(np.float32)
    centre = affines.apply(template_affine, np.argwhere(maps["brain"] > 0.5).mean(axis=0))
    best = (-np.inf, np.eye(4))
    for pitch in _PITCHES_DEG:
        for scale in _SCALES:
            # Patch point (relative to the patch centre) -> template point.
            pull = np.eye(4)
            pull[:3, :3] = (
                affines.rigid_matrix([0, 0, 0, np.deg2rad(pitch), 0, 0], np.zeros(3))[:3, :3].T
                / scale
            )
            pull[:3, 3] = centre
            score, position = _best_position(image, maps["t1"], weight, template_affine, pull)
            if score > best[0]:
                push = np.linalg.inv(pull)
                push[:3, 3] += affines.apply(image_affine, position)
                best = (score, push)
    return best[1]


def _best_position(
    image: np.ndarray,
    template: np.ndarray,
    weight: np.ndarray,
    template_affine: np.ndarray,
    pull: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the best masked correlation and the voxel where the patch centre then lies."""
    half = int(np.ceil(120.0 / _SEARCH_MM))
    shape = (2 * half + 1,) * 3
    patch_affine = np.diag([_SEARCH_MM] * 3 + [1.0])
    patch_affine[:3, 3] = -half * _SEARCH_MM
    t = grids.onto(template, template_affine, shape, patch_affine, matrix=pull)
    w = grids.onto(weight, template_affine, shape, patch_affine, matrix=pull) > 0.5
    n = float(w.sum())
    t = np.where(w, t - t[w].mean(), 0.0)

    def correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return signal.fftconvolve(a, b[::-1, ::-1, ::-1], mode="full")

    wf = w.astype(np.float64)
    inside = correlate(np.ones(image.shape), wf)
    mean = correlate(image, wf) / n
    variance = correlate(image**2, wf) / n - mean**2
    covariance = correlate(image, t) / n
    score = covariance / np.sqrt(np.maximum(variance, 1e-3 * image.var()) * np.sum(t**2) / n)
    # A brain cut by the edge of the image is accepted up to a quarter.
    score[inside < 0.75 * n] = -np.inf
    at = np.unravel_index(int(np.argmax(score)), score.shape)
    return float(score[at]), np.asarray(at) - half


def _axis_aligned(
    volume: np.ndarray, affine: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Resample onto a grid along the world axes that covers the volume."""
    coarse, coarse_affine = grids.coarsen(volume, affine, voxel_mm=voxel_mm)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.asarray(coarse.shape) - 1)
    world = affines.apply(coarse_affine, corners)
    target = np.diag([voxel_mm] * 3 + [1.0])
    target[:3, 3] = world.min(axis=0)
    shape = tuple(int(n) for n in np.ceil(np.ptp(world, axis=0) / voxel_mm) + 1)
    return grids.onto(coarse, coarse_affine, shape, target).astype(np.float64), target


def _affine_to_head(
    volume: np.ndarray,
    affine: np.ndarray,
    initial: np.ndarray,
    *,
    widths_mm: tuple[float, ...] = (12.0, 6.0),
) -> tuple[np.ndarray, float]:
    """Fit MNI152 -> head by robust least squares inside the template's dilated mask."""
    maps, template_affine = mni.load_template(_AFFINE_MM)
    region = masks.dilated(maps["brain"] > 0.5, template_affine, 8.0)
    points = affines.grid_points(region.shape, template_affine, region)
    moving, moving_affine = grids.coarsen(volume, affine, voxel_mm=_AFFINE_MM)
    matrix, correlation = initial, 0.0
    for fwhm_mm in widths_mm:
        sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / _AFFINE_MM
        fixed = ndimage.gaussian_filter(maps["t1"], sigma)[region]
        # A wide cut first: edges still far apart must keep their pull.
        for rigid in (True, False) if fwhm_mm > 10 else (False,):
            matrix, correlation = fit_affine(
                fixed,
                moving,
                moving_affine,
                points,
                initial=matrix,
                fwhm_mm=fwhm_mm,
                rigid=rigid,
                iterations=25,
                cut=20.0 if fwhm_mm > 10 else 7.0,
            )
    return matrix, correlation


def _inner_correlation(volume: np.ndarray, affine: np.ndarray, to_head: np.ndarray) -> float:
    """Return the correlation of image and template inside the brain, without its outline."""
    maps, template_affine = mni.load_template(_AFFINE_MM)
    inner = masks.dilated(maps["brain"] > 0.5, template_affine, -4.0)
    coarse, coarse_affine = grids.coarsen(volume, affine, voxel_mm=_AFFINE_MM)
    seen = grids.onto(coarse, coarse_affine, inner.shape, template_affine, matrix=to_head)
    values, expected = seen[inner], maps["t1"][inner]
    return float(np.corrcoef(values, expected)[0, 1]) if np.ptp(values) > 0 else 0.0


def _template_brain(
    shape: tuple[int, ...], affine: np.ndarray, to_head: np.ndarray, *, grow_mm: float
) -> np.ndarray:
    """Place the template's brain, grown by a distance in MNI mm, on the image's grid."""
    maps, template_affine = mni.load_template(_AFFINE_MM)
    grown = masks.dilated(maps["brain"] > 0.5, template_affine, grow_mm)
    placed = grids.onto(grown, template_affine, shape, affine, matrix=np.linalg.inv(to_head))
    return placed > 0.5


def _is_stripped(foreground: np.ndarray, affine: np.ndarray, to_head: np.ndarray) -> bool:
    """Tell whether hardly anything of the object lies outside the template's brain."""
    near = _template_brain(foreground.shape, affine, to_head, grow_mm=10.0)
    outside = np.count_nonzero(foreground & ~near) / np.count_nonzero(foreground)
    return outside < 0.03


def _outline(foreground: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Close gaps in the outline of an image without skull."""
    closed = masks.closed(foreground, affine, _GAP_MM)
    return ndimage.binary_fill_holes(masks.largest_component(closed | foreground))


def _registered_edges(
    volume: np.ndarray, affine: np.ndarray, to_head: np.ndarray
) -> mask_edge.Edges:
    """Carry the template's edges to the image by a quick nonlinear registration."""
    maps, template_affine = mni.load_template(_NONLINEAR_MM)
    region = _template_brain(volume.shape, affine, to_head, grow_mm=8.0)
    near, near_affine, _ = grids.crop_to_mask(volume, affine, region, margin_mm=10.0)
    fixed, fixed_affine = grids.coarsen(near, near_affine, voxel_mm=_NONLINEAR_MM)
    start = np.linalg.inv(to_head)
    warp, _ = ants_syn.register_syn(
        (fixed, fixed_affine),
        (maps["t1"], template_affine),
        initial=start,
        fixed_mask=_template_brain(fixed.shape, fixed_affine, to_head, grow_mm=8.0),
        iterations=(20, 10),
        radius=2,
        seed=_SEED,
    )
    points = affines.grid_points(fixed.shape, fixed_affine) + warp.reshape(-1, 3)
    edges = mask_edge.template_edges()
    index = affines.apply(np.linalg.inv(edges.affine) @ start, points).T
    brain, hull = (
        ndimage.map_coordinates(one, index, order=1, mode="nearest").reshape(fixed.shape)
        for one in (edges.brain, edges.hull)
    )
    return mask_edge.Edges(brain, hull, fixed_affine)
