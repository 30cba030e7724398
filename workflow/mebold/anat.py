"""Anatomy: bias field, brain mask of functional images, tissue classes.

The brain mask of a T1-weighted head is in `brainmask` and re-exported here.
"""

import logging

import numpy as np
from scipy import ndimage

from mebold import affines, regrid
from mebold.ants_bridge import from_ants, load_ants, to_ants
from mebold.brainmask import brain_mask
from mebold.errors import DataError, GridMismatchError
from mebold.foreground import foreground_mask

__all__ = ["TISSUES", "bias_correct", "brain_mask", "epi_mask", "tissue_segmentation"]

logger = logging.getLogger(__name__)

#: Order of the tissue classes, along the first axis of probabilities and as labels 1, 2, 3.
TISSUES = ("CSF", "GM", "WM")


def bias_correct(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    working_mm: float = 5.0,
    iterations: tuple[int, ...] = (50, 50),
) -> np.ndarray:
    """Divide a slow intensity bias out of a volume.

    Parameters
    ----------
    volume : (x, y, z) array
        Magnitude; negative and non-finite voxels count as 0.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array, optional
        Voxels that the bias is estimated from; everything above the noise by default.
    working_mm : float
        The bias is estimated on voxels at least this far apart.
    iterations : tuple of int
        Largest number of steps per level. The first level has a mesh of 4 elements along each
        axis of the mask's box, every further level doubles it.

    Returns
    -------
    (x, y, z) float32 array
        Corrected volume, scaled so that the median in the mask stays.

    Raises
    ------
    DataError
        When the volume has no positive voxel in the mask.

    References
    ----------
    Tustison et al. 2010, IEEE TMI 29:1310 (N4), as in antspyx 0.6.3.
    """
    clean = _clean(volume)
    if mask is None:
        mask = foreground_mask(clean)
    _check_shape(clean, mask)
    used = np.asarray(mask, dtype=bool) & (clean > 0)
    if np.count_nonzero(used) < 100:
        message = f"bias correction needs a mask with signal, got {used.sum()} positive voxels."
        raise DataError(message)
    median = float(np.median(clean[used]))
    field = _bias_field(clean / median, affine, used, working_mm, iterations)
    # Far outside the mask the splines extrapolate; a bias beyond this range is not one.
    corrected = clean / np.clip(field, 0.02, 50.0)
    return (corrected * (median / float(np.median(corrected[used])))).astype(np.float32)


def _bias_field(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    working_mm: float,
    iterations: tuple[int, ...],
) -> np.ndarray:
    """Run N4 on every few voxels and return its field on the full grid.

    Voxels are left out, not averaged: averages mix tissues, and N4 works by sharpening the
    histogram.
    """
    sizes = affines.voxel_sizes(affine)
    stride = np.maximum(1, np.ceil(working_mm / sizes - 1e-3).astype(int))
    start = stride // 2
    every = tuple(slice(int(a), None, int(b)) for a, b in zip(start, stride, strict=True))
    grid = np.array(affine, dtype=np.float64)
    grid[:3, :3] *= stride
    grid[:3, 3] = affines.apply(affine, start)
    inside = mask[every]
    coarse, grid, box = regrid.crop_to_mask(volume[every], grid, inside, margin_mm=0.0)
    field, _ = from_ants(
        load_ants().n4_bias_field_correction(
            to_ants(coarse, grid),
            mask=to_ants(inside[box], grid),
            shrink_factor=1,
            spline_param=[4, 4, 4],
            convergence={"iters": list(iterations), "tol": 1e-6},
            return_bias_field=True,
        )
    )
    logs = np.log(np.clip(field, 1e-3, 1e3))
    return np.exp(regrid.onto(logs, grid, volume.shape, affine, mode="nearest"))


def tissue_segmentation(
    volume: np.ndarray, affine: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Classify the brain of a T1-weighted image into CSF, grey and white matter.

    Parameters
    ----------
    volume : (x, y, z) array
        Bias-corrected T1-weighted image: CSF dark, white matter bright.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain.

    Returns
    -------
    dseg : (x, y, z) int8 array
        0 outside, 1 CSF, 2 GM, 3 WM (see `TISSUES`).
    probseg : (3, x, y, z) float32 array
        Probability of each class, in the order of `TISSUES`; 0 outside the mask.

    Raises
    ------
    DataError
        When the mask holds fewer than 1000 voxels or one intensity only.

    References
    ----------
    Avants et al. 2011, Neuroinformatics 9:381 (Atropos), as in antspyx 0.6.3: k-means start, three
    Gaussian classes, Markov random field of weight 0.2 over the nearest neighbours.
    """
    clean = _clean(volume)
    _check_shape(clean, mask)
    mask = np.asarray(mask, dtype=bool)
    inside = clean[mask]
    if inside.size < 1000 or np.ptp(inside) == 0:
        message = f"{inside.size} voxels are too few (or constant) for a tissue segmentation."
        raise DataError(message)
    # Vessels and fat are brighter than white matter and would take a class for themselves.
    low, high = np.percentile(inside, [0.5, 99.5])
    cropped, box_affine, box = regrid.crop_to_mask(
        np.clip(clean, low, high), affine, mask, margin_mm=5.0
    )
    result = load_ants().atropos(
        to_ants(cropped, box_affine),
        to_ants(mask[box], box_affine),
        i="Kmeans[3]",
        m="[0.2,1x1x1]",
        c="[5,0]",
        r=0,  # one constant seed; by default Atropos takes the clock
    )
    posteriors = np.stack([from_ants(p)[0] for p in result["probabilityimages"]])
    means = [np.average(cropped, weights=p + 1e-12) for p in posteriors]
    posteriors = posteriors[np.argsort(means)]
    probseg = np.zeros((3, *clean.shape), dtype=np.float32)
    total = np.maximum(posteriors.sum(axis=0), 1e-6)
    probseg[(slice(None), *box)] = np.clip(posteriors / total, 0.0, 1.0) * mask[box]
    dseg = np.where(mask, np.argmax(probseg, axis=0) + 1, 0).astype(np.int8)
    return dseg, probseg


def epi_mask(boldref: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in an EPI reference (or gradient-echo magnitude).

    Parameters
    ----------
    boldref : (x, y, z) array
        One volume, not bias corrected.
    affine : (4, 4) array
        Voxel to world, mm.

    Returns
    -------
    (x, y, z) bool array
        One connected part without holes.

    Raises
    ------
    DataError
        When the volume has no positive voxel.

    References
    ----------
    N4 and getMask of ANTs (antspyx 0.6.3).
    """
    corrected = bias_correct(boldref, affine)
    top = float(np.percentile(corrected[corrected > 0], 99.5))
    image = to_ants(np.clip(corrected, 0.0, top), affine)
    mask = from_ants(load_ants().get_mask(image))[0] > 0
    mask = regrid.largest_component(mask)
    return ndimage.binary_fill_holes(mask)


def _clean(volume: np.ndarray) -> np.ndarray:
    """Return a non-negative finite float32 copy; raise when nothing positive is left."""
    clean = np.nan_to_num(np.array(volume, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    np.maximum(clean, 0.0, out=clean)
    if clean.ndim != 3:
        message = f"expected one 3D volume, got shape {clean.shape}."
        raise DataError(message)
    if not clean.any():
        message = "the volume holds no positive finite voxel."
        raise DataError(message)
    return clean


def _check_shape(volume: np.ndarray, mask: np.ndarray) -> None:
    """Raise when a mask does not belong to a volume."""
    if np.shape(mask) != volume.shape:
        message = f"the mask has shape {np.shape(mask)}, the volume {volume.shape}."
        raise GridMismatchError(message)
