"""Tissue classes of a T1-weighted brain: CSF, grey and white matter."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np

from mebold.anat import partial_volume
from mebold.anat.bias import check_shape, cleaned
from mebold.anat.labels import TISSUES
from mebold.errors import DataError
from mebold.geometry import affines, grids
from mebold.registration.ants import from_ants, load_ants, to_ants

logger = logging.getLogger(__name__)

# Order of the classes by their intensity in a T1w image.
_DARKEST_FIRST = ("CSF", "GM", "WM")
_SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class Segmentation:
    """Tissue classes of a brain, and how they were found.

    Attributes
    ----------
    dseg : (x, y, z) int8 array
        0 outside, 1 GM, 2 WM, 3 CSF (see `mebold.anat.labels`).
    probseg : (3, x, y, z) float32 array
        Share of GM, WM and CSF in each voxel; 0 outside the mask.
    method : {"priors", "k-means"}
        Start of the classification.
    reason : str
        Why there are no priors; empty with them.
    pure : dict of (float, float)
        Mean and standard deviation of the intensities of each tissue alone. Empty when the classes
        do not tell them: then `probseg` holds the probabilities of the classes.
    """

    dseg: np.ndarray
    probseg: np.ndarray
    method: str
    reason: str = ""
    pure: dict[str, tuple[float, float]] = field(default_factory=dict)


class _UnlikelyError(Exception):
    """Classes that no brain has."""


def classify(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    *,
    priors: np.ndarray | None,
    prior_weight: float,
    refused: str = "",
) -> Segmentation:
    """Classify the brain of a T1-weighted image with tissue priors, or without where they fail.

    Parameters
    ----------
    volume : (x, y, z) array
        Bias-corrected T1-weighted image: CSF dark, white matter bright.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain.
    priors : (4, x, y, z) array or None
        Shares of CSF, cortical GM, WM and deep GM, as in `mebold.anat.priors`; None leaves the
        intensities alone.
    prior_weight : float
        Exponent of the first three, above 0 to 1; against 1 less that of the Markov random field.
        The deep nuclei have the whole weight of their prior: their intensities are those of white
        matter, and do not tell.
    refused : str
        Why there are no priors, where there are none.

    Returns
    -------
    Segmentation
        Of k-means, with the reason, when the priors do not lead to classes of a brain.

    Raises
    ------
    DataError
        When the mask holds fewer than 1000 voxels or one intensity only.

    References
    ----------
    Avants et al. 2011, Neuroinformatics 9:381 (Atropos), as in antspyx 0.6.3; then the shares of
    `mebold.anat.partial_volume`.
    """
    reason = refused or "no priors were given"
    if priors is not None:
        try:
            dseg, probseg, nuclei = _with_priors(volume, affine, mask, priors, prior_weight)
        except DataError:
            raise
        # antspyx raises plain exceptions when Atropos gives up.
        except Exception as error:
            reason = f"Atropos with priors failed: {error}"
            logger.warning("%s; k-means starts the classes instead", reason)
        else:
            found = Segmentation(dseg, probseg, "priors")
            return _with_shares(found, volume, affine, nuclei)
    found = Segmentation(*tissue_segmentation(volume, affine, mask), "k-means", reason)
    return _with_shares(found, volume, affine, None)


def _with_shares(found: Segmentation, volume, affine, nuclei) -> Segmentation:
    """Replace the probabilities of the classes by the shares of the tissues, and the labels."""
    mask = found.dseg > 0
    image, box_affine, box = grids.crop_to_mask(cleaned(volume), affine, mask, margin_mm=2.0)
    labels = found.dseg[box]
    classes = {name: labels == index for index, name in enumerate(TISSUES, start=1)}
    grey = None
    if nuclei is not None:
        grey = nuclei[box]
        classes["GM"] &= grey < 0.1
    pure = partial_volume.pure_intensities(image, box_affine, classes)
    if pure is None:
        logger.warning("the classes do not tell pure intensities: no shares within voxels")
        return found
    image = partial_volume.same_contrast(image, box_affine, classes, pure)
    pure = partial_volume.pure_intensities(image, box_affine, classes) or pure
    parts = partial_volume.shares(image, mask[box], pure, known_grey=grey)
    probseg = np.zeros_like(found.probseg)
    probseg[(slice(None), *box)] = parts
    dseg = np.where(mask, np.argmax(probseg, axis=0) + 1, 0).astype(np.int8)
    return replace(found, dseg=dseg, probseg=probseg, pure=pure)


def tissue_segmentation(
    volume: np.ndarray, affine: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Classify the brain of a T1-weighted image into CSF, grey and white matter by intensity alone.

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
    cropped, box_affine, box, mask = _prepared(volume, affine, mask)
    posteriors = _atropos(cropped, box_affine, mask[box], start="Kmeans[3]", smoothing=0.2)
    order = np.argsort(_means(cropped, posteriors))
    return _on_grid(dict(zip(_DARKEST_FIRST, posteriors[order], strict=True)), mask, box)


def _with_priors(volume, affine, mask, priors, weight) -> tuple[np.ndarray, ...]:
    """Return classes, their probabilities and that of the nuclei alone.

    Raises when a class is empty or the classes are in no T1w's order.
    """
    cropped, box_affine, box, mask = _prepared(volume, affine, mask)
    inside = mask[box]
    share, deep = priors[:3, *box], np.clip(priors[3, *box], 0, 1)
    share = share / np.maximum(share.sum(axis=0), 1e-6)
    odds = 1 / weight
    kept = deep**odds / (deep**odds + (1 - deep) ** odds)
    maps = [*(share * (1 - kept)), kept]
    options = {"start": maps, "smoothing": 0.1, "priorweight": weight}
    fluid, cortex, white, nuclei = _atropos(cropped, box_affine, inside, **options)
    found = {"CSF": fluid, "GM": cortex + nuclei, "WM": white}
    means = _means(cropped, [fluid, cortex, white])
    if not means[0] < means[1] < means[2]:
        listed = ", ".join(f"{name} {m:.4g}" for name, m in zip(_DARKEST_FIRST, means, strict=True))
        raise _UnlikelyError(f"the mean intensities are {listed}, not from dark to bright")
    dseg, probseg = _on_grid(found, mask, box)
    for index, name in enumerate(TISSUES, start=1):
        part = np.count_nonzero(dseg == index) / np.count_nonzero(mask)
        if part < _SMALLEST_SHARE:
            raise _UnlikelyError(f"{100 * part:.1f} % of the brain is {name}")
    deep_grey = np.zeros(mask.shape, dtype=np.float32)
    deep_grey[box] = nuclei / np.maximum(fluid + cortex + white + nuclei, 1e-6) * mask[box]
    return dseg, probseg, deep_grey


def _prepared(volume, affine, mask):
    """Return the clipped image in the box of the brain, its affine, the box, and the mask."""
    clean = cleaned(volume)
    check_shape(clean, mask)
    mask = np.asarray(mask, dtype=bool)
    inside = clean[mask]
    if inside.size < 1000 or np.ptp(inside) == 0:
        message = f"{inside.size} voxels are too few (or constant) for a tissue segmentation."
        raise DataError(message)
    # Vessels and fat are brighter than white matter and would take a class for themselves.
    low, high = np.percentile(inside, [0.5, 99.5])
    clipped = np.clip(clean, low, high)
    return *grids.crop_to_mask(clipped, affine, mask, margin_mm=5.0), mask


def _atropos(image, affine, mask, *, start, smoothing: float, **options) -> np.ndarray:
    """Return the posterior of every class (C, x, y, z)."""
    # Priors reach Atropos as files, whose origin is rounded to single precision: then they "do not
    # occupy the same physical space". Only the size of the voxels matters here.
    sizes = np.diag([*affines.voxel_sizes(affine).astype(np.float32).round(4), 1.0])
    if not isinstance(start, str):
        start = [to_ants(np.ascontiguousarray(one), sizes) for one in start]
    result = load_ants().atropos(
        to_ants(image, sizes),
        to_ants(mask, sizes),
        i=start,
        m=f"[{smoothing},1x1x1]",
        c="[5,0]",
        r=0,  # one constant seed; by default Atropos takes the clock
        **options,
    )
    posteriors = np.stack([from_ants(p)[0] for p in result["probabilityimages"]])
    return np.nan_to_num(np.clip(posteriors, 0.0, 1.0))


def _means(image: np.ndarray, posteriors) -> np.ndarray:
    return np.array([np.average(image, weights=p + 1e-12) for p in posteriors])


def _on_grid(found, mask, box) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and probabilities on the whole grid of the mask."""
    posteriors = np.stack([found[name] for name in TISSUES])
    probseg = np.zeros((3, *mask.shape), dtype=np.float32)
    total = np.maximum(posteriors.sum(axis=0), 1e-6)
    probseg[(slice(None), *box)] = posteriors / total * mask[box]
    dseg = np.where(mask, np.argmax(probseg, axis=0) + 1, 0).astype(np.int8)
    return dseg, probseg
