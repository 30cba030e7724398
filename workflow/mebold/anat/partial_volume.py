"""How much of each voxel is grey matter, white matter and fluid.

A classification by Gaussians gives voxels that cortex and fluid share to the fluid: pure fluid is
rare, so its class is made of shared voxels and is as wide as their intensities. Here pure tissues
have the intensities of the insides of the classes, and what lies between two of them is a mixture.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, grids

# From dark to bright; mixtures are of neighbours in this order.
_ORDER = ("CSF", "GM", "WM")
_KINDS = ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2))
_LEVELS = 256
_MIXTURES = 16
_FEWEST = 100  # voxels that tell a pure intensity
_GLOBAL_STEPS = 50
_LOCAL_STEPS = 2
# No kind of voxel is impossible where its neighbours have none.
_FLOOR = 1e-3
_TO_SD = 1.4826
_LOCAL_MM = 20.0  # SD of the neighbourhood that tells local intensities
_COARSE_MM = 4.0
_DOUBT = 0.05  # weight of the whole brain's intensity, of the most that a neighbourhood has
_LEAST_STEP = 0.2  # of the whole brain's difference of two tissues: no local one is smaller


def pure_intensities(
    image: np.ndarray, affine: np.ndarray, classes: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, float]] | None:
    """Return mean and standard deviation of each tissue alone.

    Parameters
    ----------
    image : (x, y, z) array
        Bias-corrected T1w.
    affine : (4, 4) array
        Voxel to world, mm.
    classes : mapping of (x, y, z) bool arrays
        Voxels of ``CSF``, ``GM`` and ``WM``.

    Returns
    -------
    dict of (float, float) or None
        Median, and SD from the median deviation, of the voxels that are at least 1 mm inside their
        class; of the darkest tenth of the fluid where it has no inside. None when the tissues are
        too few, or not in the order of a T1w.
    """
    found = {}
    for name in _ORDER:
        values = image[_inside(classes[name], affine)]
        if values.size < _FEWEST and name == "CSF":
            values = image[classes[name]]
            values = values[values <= np.percentile(values, 20)] if values.size else values
        if values.size < _FEWEST:
            return None
        middle = float(np.median(values))
        found[name] = (middle, _TO_SD * float(np.median(np.abs(values - middle))))
    means = [found[name][0] for name in _ORDER]
    if not means[0] < means[1] < means[2]:
        return None
    # Rounded intensities may have no deviation at all.
    least = 0.02 * (means[2] - means[0])
    return {name: (mean, max(sd, least)) for name, (mean, sd) in found.items()}


def _inside(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the voxels that are at least 1 mm inside."""
    steps = max(1, round(1.0 / float(affines.voxel_sizes(affine).min())))
    return ndimage.binary_erosion(voxels, iterations=steps)


def same_contrast(
    image: np.ndarray,
    affine: np.ndarray,
    classes: Mapping[str, np.ndarray],
    pure: Mapping[str, tuple[float, float]],
) -> np.ndarray:
    """Give grey and white matter the same intensities everywhere.

    A transmit field that varies (7T) changes the T1w contrast of grey and white matter from place
    to place, each in its own way: no bias that all tissues share takes that away.

    Parameters
    ----------
    image : (x, y, z) array
        Bias-corrected T1w.
    affine : (4, 4) array
        Voxel to world, mm.
    classes : mapping of (x, y, z) bool arrays
        Voxels of ``GM`` and ``WM``.
    pure : mapping
        From `pure_intensities`.

    Returns
    -------
    (x, y, z) array
        Linear between fluid, grey and white matter: each local mean comes to that of the brain.
    """
    (dark, _), (grey, _), (white, _) = (pure[name] for name in _ORDER)
    here = {}
    for name in ("GM", "WM"):
        mean, spread = pure[name]
        used = _inside(classes[name], affine) & (np.abs(image - mean) < 3 * spread)
        above, coarse_affine = grids.coarsen(
            np.where(used, image - mean, 0).astype(np.float32), affine, voxel_mm=_COARSE_MM
        )
        weight, _ = grids.coarsen(used.astype(np.float32), affine, voxel_mm=_COARSE_MM)
        wide = _LOCAL_MM / affines.voxel_sizes(coarse_affine)
        above, weight = (ndimage.gaussian_filter(one, wide) for one in (above, weight))
        local = above / np.maximum(weight + _DOUBT * weight.max(), 1e-12)
        shape = image.shape
        here[name] = mean + grids.onto(local, coarse_affine, shape, affine, mode="nearest")
    lower = np.maximum(here["GM"] - dark, _LEAST_STEP * (grey - dark))
    upper = np.maximum(here["WM"] - here["GM"], _LEAST_STEP * (white - grey))
    return np.where(
        image > here["GM"],
        grey + (image - here["GM"]) / upper * (white - grey),
        dark + (image - dark) / lower * (grey - dark),
    )


def shares(
    image: np.ndarray,
    mask: np.ndarray,
    pure: Mapping[str, tuple[float, float]],
    *,
    known_grey: np.ndarray | None = None,
) -> np.ndarray:
    """Return the expected share of grey matter, white matter and fluid in every voxel.

    Voxels are pure or a mixture of two tissues that are neighbours in brightness, all mixtures
    alike; how many there are of each kind is found by expectation maximisation, first over the
    brain and then around each voxel (3 x 3 x 3), which keeps noise out of the insides.

    Parameters
    ----------
    image : (x, y, z) array
        Bias-corrected T1w.
    mask : (x, y, z) bool array
        Brain.
    pure : mapping
        From `pure_intensities`.
    known_grey : (x, y, z) array, optional
        Probability of deep grey matter, whose intensity is that of white matter: it counts as grey.

    Returns
    -------
    (3, x, y, z) float32 array
        GM, WM, CSF; they add up to 1 in the mask and are 0 outside.

    References
    ----------
    Santago and Gage 1993, IEEE TMI 12:566; local weights after Shattuck et al. 2001, NeuroImage
    13:856, with an average over neighbours in the place of a Potts field.
    """
    means, spreads = (np.array([pure[name][i] for name in _ORDER]) for i in range(2))
    low, high = means[0] - 4 * spreads[0], means[2] + 4 * spreads[2]
    levels = np.linspace(low, high, _LEVELS)
    density, mixed = _kinds(levels, means, spreads)
    at = np.clip(np.rint((image - low) / (high - low) * (_LEVELS - 1)), 0, _LEVELS - 1)
    at = at.astype(np.uint8)
    counted = mask if known_grey is None else mask & (known_grey < 0.5)
    counts = np.bincount(at[counted], minlength=_LEVELS).astype(np.float64)
    weights = np.full(len(_KINDS), 1 / len(_KINDS))
    for _ in range(_GLOBAL_STEPS):
        weights = (_posterior(weights[:, None], density) * counts).sum(axis=1) / counts.sum()
    kinds = _posterior(weights[:, None], density).astype(np.float32)[:, at] * mask
    for _ in range(_LOCAL_STEPS):
        for one, weight in zip(kinds, weights, strict=True):
            one[:] = ndimage.uniform_filter(one, 3) + np.float32(_FLOOR * weight)
        for one, likely in zip(kinds, density.astype(np.float32), strict=True):
            one *= likely[at]
        kinds *= mask / np.maximum(kinds.sum(axis=0), np.float32(1e-30))
    found = np.zeros((3, *image.shape), dtype=np.float32)
    for tissue in range(3):
        for one, (first, second), share in zip(kinds, _KINDS, mixed, strict=True):
            if tissue == first:
                found[tissue] += one * (1 - share[at])
            if tissue == second:
                found[tissue] += one * share[at]
    found = found[[1, 2, 0]]
    if known_grey is not None:
        found *= 1 - known_grey
        found[0] += known_grey * mask
    return found


def _posterior(weights: np.ndarray, density: np.ndarray) -> np.ndarray:
    found = weights * density
    return found / found.sum(axis=0)


def _kinds(levels, means, spreads) -> tuple[np.ndarray, np.ndarray]:
    """Return the density of each kind (5, levels), and the share of its brighter tissue.

    A pure kind has one tissue twice: its share says nothing there and is 0.
    """
    steps = (np.arange(_MIXTURES) + 0.5) / _MIXTURES
    densities, brighter = [], []
    for first, second in _KINDS:
        share = np.zeros(1) if first == second else steps
        centre = (1 - share) * means[first] + share * means[second]
        spread = np.sqrt((1 - share) * spreads[first] ** 2 + share * spreads[second] ** 2)
        away = (levels - centre[:, None]) / spread[:, None]
        each = np.exp(-0.5 * away**2) / spread[:, None]
        densities.append(each.mean(axis=0))
        brighter.append((share[:, None] * each).sum(axis=0) / np.maximum(each.sum(axis=0), 1e-300))
    scale = max(float(one.max()) for one in densities)
    return np.array(densities) / scale + 1e-12, np.array(brighter)
