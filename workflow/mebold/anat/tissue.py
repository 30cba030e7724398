"""Tissue classes of a T1-weighted brain: CSF, grey and white matter."""

import numpy as np

from mebold.anat.bias import check_shape, cleaned
from mebold.anat.labels import TISSUES
from mebold.errors import DataError
from mebold.geometry import grids
from mebold.registration.ants import from_ants, load_ants, to_ants

# Order of the classes by their intensity in a T1w image.
_DARKEST_FIRST = ("CSF", "GM", "WM")


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
        0 outside, 1 GM, 2 WM, 3 CSF (see `mebold.anat.labels`).
    probseg : (3, x, y, z) float32 array
        Probability of GM, WM and CSF; 0 outside the mask.

    Raises
    ------
    DataError
        When the mask holds fewer than 1000 voxels or one intensity only.

    References
    ----------
    Avants et al. 2011, Neuroinformatics 9:381 (Atropos), as in antspyx 0.6.3: k-means start, three
    Gaussian classes, Markov random field of weight 0.2 over the nearest neighbours.
    """
    clean = cleaned(volume)
    check_shape(clean, mask)
    mask = np.asarray(mask, dtype=bool)
    inside = clean[mask]
    if inside.size < 1000 or np.ptp(inside) == 0:
        message = f"{inside.size} voxels are too few (or constant) for a tissue segmentation."
        raise DataError(message)
    # Vessels and fat are brighter than white matter and would take a class for themselves.
    low, high = np.percentile(inside, [0.5, 99.5])
    cropped, box_affine, box = grids.crop_to_mask(
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
    found = dict(zip(_DARKEST_FIRST, posteriors[np.argsort(means)], strict=True))
    posteriors = np.stack([found[name] for name in TISSUES])
    probseg = np.zeros((3, *clean.shape), dtype=np.float32)
    total = np.maximum(posteriors.sum(axis=0), 1e-6)
    probseg[(slice(None), *box)] = np.clip(posteriors / total, 0.0, 1.0) * mask[box]
    dseg = np.where(mask, np.argmax(probseg, axis=0) + 1, 0).astype(np.int8)
    return dseg, probseg
