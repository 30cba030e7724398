"""MP2RAGE: the combined image without its background, and the head.

The combined image (`UNIT1`) is U = S1 S2 / (S1^2 + S2^2) of the images of two inversion times. It
is free of the receive bias, and in air, where both are noise, takes every value between -0.5 and
0.5. Below, U is in these units.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, masks

logger = logging.getLogger(__name__)

#: Values that U is stored as: those of -0.5 and 0.5. Only these are found without being told.
RANGES = {"fraction": (-0.5, 0.5), "unsigned": (0.0, 4095.0)}
_SLACK = 0.01
_FEWEST_AIR = 100
#: In air the standard deviation of U over a neighbourhood is about 0.29, in tissue below 0.15.
_ROUGH = 0.2
_NEAR_MM = 1.5
_CLOSING_MM = 5.0
#: Bone is thicker, an edge between two tissues is thinner.
_BONE_MM = 4.0
#: The second image exceeds this many times the level of air in the head.
_OVER_AIR = 2.5
#: Parts of the head have at least this share of the voxels of the largest.
_LEAST_PART = 0.01
#: A head fills at least this share of the field of view.
_LEAST_HEAD = 0.05
#: Added to the image before INV2 weighs it, so that grey and white matter differ as in an MPRAGE.
#: Dice of the brain of a simulated head (2 mm) at 0.15, 0.3, 0.5 and 1: 0.951, 0.967, 0.979, 0.992.
_SOFTENED = 1.0
#: The same without INV2, where more would let fluid be as bright as cortex. Dice of the brain of a
#: simulated head of 1.5, 2 and 3 mm at 0.1: 0.974, 0.974, 0.976; 0.2: 0.977, 0.978, 0.968; 0.3:
#: 0.979, 0.981, 0.957.
_SOFTENED_ALONE = 0.2


@dataclass(frozen=True)
class Cleaned:
    """A combined image without its background.

    Attributes
    ----------
    image : (x, y, z) float32 array
        0 to 1.
    head : (x, y, z) bool array
    weighted : (x, y, z) float32 array
        The image on which the brain is found: bone, which is bright in a ratio of two weak
        signals, is dark here.
    how : str
        What was done.
    noise : float or None
        Level of noise in air, in units of the magnitudes.
    """

    image: np.ndarray
    head: np.ndarray
    weighted: np.ndarray
    how: str
    noise: float | None = None


def with_inversions(
    unit: np.ndarray,
    inv1: np.ndarray,
    inv2: np.ndarray,
    affine: np.ndarray,
    *,
    regularisation: float,
) -> Cleaned:
    """Clean a combined image with the two images that it was made of.

    Parameters
    ----------
    unit : (x, y, z) array
        -0.5 to 0.5.
    inv1, inv2 : (x, y, z) array
        Magnitudes.
    affine : (4, 4) array
    regularisation : float
        See `cleaned`. Where the scanner has set the air to 0, its noise is unknown and nothing is
        taken off: what is 0 in the second image is dark.
    """
    require_one_grid(unit, inv1, inv2)
    head = head_mask(inv2, affine)
    try:
        noise = background(inv1, inv2, head, affine)
    except DataError as error:
        logger.info("%s", error)
        image = np.where(inv2 > 0, unit + 0.5, 0.0).astype(np.float32)
        how, noise = "what is 0 in INV2 is set to 0: the scanner masked the air", None
    else:
        image = cleaned(unit, inv1, inv2, noise=noise, regularisation=regularisation)
        how = f"robust combination of INV1 and INV2, regularised by {regularisation:g} x noise"
    bright = np.nan_to_num(inv2) / float(np.percentile(inv2[head], 95.0))
    weighted = (image + _SOFTENED) * bright
    return Cleaned(image, head, weighted.astype(np.float32), how, noise)


def alone(unit: np.ndarray, affine: np.ndarray) -> Cleaned:
    """Clean a combined image that comes without the images it was made of; see `cleaned_alone`."""
    image, head, weighted = cleaned_alone(unit, affine)
    return Cleaned(image, head, weighted, "air found by its roughness: INV1 and INV2 are not there")


def to_fraction(
    stored: np.ndarray, value_range: tuple[float, float] | None = None, *, name: str = "UNIT1"
) -> np.ndarray:
    """Scale a stored combined image to -0.5 to 0.5.

    Parameters
    ----------
    stored : (x, y, z) array
    value_range : (low, high), optional
        Values that mean -0.5 and 0.5; one of `RANGES` where not given.
    name : str
        For messages.

    Raises
    ------
    DataError
        When the values are of no known range, or exceed the given one.
    """
    values = np.asarray(stored, dtype=np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if not high > low:
        raise DataError(f"{name} holds one value or none: there is no image in it.")
    fits = [r for r in RANGES.values() if _within(low, high, *r)]
    # Fractions would lie in the range of integers, too, if they were not below zero.
    chosen = tuple(value_range) if value_range else next(iter(fits), None)
    if chosen is None or not _within(low, high, *chosen):
        known = " or ".join(f"{a:g} to {b:g}" for a, b in RANGES.values())
        message = (
            f"{name}: its values, {low:g} to {high:g}, are not those of a combined MP2RAGE image, "
            f"{f'{chosen[0]:g} to {chosen[1]:g}' if chosen else known}; give the values that mean "
            "-0.5 and 0.5 in the configuration key `mp2rage.unit1_range`."
        )
        raise DataError(message)
    start, end = chosen
    return np.nan_to_num((values - start) / (end - start) - 0.5, nan=-0.5).astype(np.float32)


def _within(low: float, high: float, start: float, end: float) -> bool:
    """Tell whether values lie in a range and fill at least half of it."""
    slack = _SLACK * (end - start)
    return start - slack <= low and high <= end + slack and high - low > 0.5 * (end - start)


def background(inv1: np.ndarray, inv2: np.ndarray, head: np.ndarray, affine: np.ndarray) -> float:
    """Return the level of noise in air, root mean square of both images, in their units.

    Parameters
    ----------
    inv1, inv2 : (x, y, z) array
        Magnitudes of the two inversion times.
    head : (x, y, z) bool array
    affine : (4, 4) array

    Raises
    ------
    DataError
        When the scanner has set the air to 0, or the field of view has none.
    """
    air = ~masks.dilated(head, affine, 10.0) & (inv1 > 0) & (inv2 > 0)
    if np.count_nonzero(air) < _FEWEST_AIR:
        message = (
            "no noise is left around the head in the MP2RAGE magnitudes (fewer than "
            f"{_FEWEST_AIR} voxels that are not 0): its level cannot be measured."
        )
        raise DataError(message)
    # The median is deaf to ghosts and wrapped parts; that of squared noise is ln 2 of its mean.
    squares = np.concatenate([inv1[air].astype(np.float64) ** 2, inv2[air].astype(np.float64) ** 2])
    return float(np.sqrt(np.median(squares) / np.log(2.0)))


def head_mask(inv2: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the head, (x, y, z) bool, from the second image, whose contrast is weak.

    The level of air comes from the rim of the field of view. Scalp and brain may be apart, as bone
    gives no signal: what they enclose is part of the head.
    """
    image = np.nan_to_num(np.asarray(inv2, dtype=np.float32))
    smooth = ndimage.gaussian_filter(image, _NEAR_MM / 2 / affines.voxel_sizes(affine))
    air = float(np.median(smooth[_rim(smooth.shape)]))
    # The neck leaves through one face; a rim of zeros is that of a scanner that masks.
    found = smooth > _OVER_AIR * air if air > 0 else image > 0
    return _sealed(found | masks.foreground_mask(image), affine)


def _rim(shape: tuple[int, ...], width: int = 2) -> np.ndarray:
    """Return the outermost voxels of a grid, (x, y, z) bool."""
    rim = np.ones(shape, dtype=bool)
    rim[tuple(slice(width, n - width) for n in shape)] = False
    return rim


def _sealed(found: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the parts of a head as one, gaps closed and holes filled."""
    opened = ndimage.binary_opening(found)
    labels, _ = ndimage.label(opened)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = (sizes > _LEAST_PART * sizes.max())[labels]
    closed = masks.closed(kept, affine, _CLOSING_MM)
    return ndimage.binary_fill_holes(masks.largest_component(closed | kept))


def first_signed(unit: np.ndarray, inv1: np.ndarray, inv2: np.ndarray) -> np.ndarray:
    """Return the first image with its sign, as the combined image implies it.

    U = r / (1 + r^2) has two solutions r = S1 / S2, each the inverse of the other: the one nearer
    to the ratio of the magnitudes is taken. Magnitudes of coils that were combined by their squares
    differ from what U was made of, so the second image times r is used rather than the first.

    References
    ----------
    O'Brien et al. 2014, PLoS ONE 9:e99676.
    """
    sign = np.where(unit < 0, -1.0, 1.0)
    size = np.minimum(np.abs(unit), 0.5).astype(np.float64)
    inv1, inv2 = (np.nan_to_num(i).astype(np.float64) for i in (inv1, inv2))
    small = 2.0 * size / (1.0 + np.sqrt(np.maximum(1.0 - 4.0 * size**2, 0.0)))
    measured = inv1 / np.maximum(inv2, 1e-12)
    other = 1.0 / np.maximum(small, 1e-6)
    nearer = np.abs(measured - small) <= np.abs(measured - other)
    return sign * np.where(nearer, small, other) * inv2


def cleaned(
    unit: np.ndarray,
    inv1: np.ndarray,
    inv2: np.ndarray,
    *,
    noise: float,
    regularisation: float,
) -> np.ndarray:
    """Combine the two images anew so that air is dark.

    Parameters
    ----------
    unit : (x, y, z) array
        Combined image, -0.5 to 0.5.
    inv1, inv2 : (x, y, z) array
        Magnitudes on the same grid.
    noise : float
        Level in air, in units of the magnitudes; see `background`.
    regularisation : float
        Level, in units of `noise`, whose square is taken off the product of the two images: larger
        ones darken air more evenly, and lower what is weak in the head.

    Returns
    -------
    (x, y, z) float32 array
        0 to 1: the image plus 0.5.

    References
    ----------
    O'Brien et al. 2014, PLoS ONE 9:e99676.
    """
    require_one_grid(unit, inv1, inv2)
    first, second = first_signed(unit, inv1, inv2), np.nan_to_num(inv2).astype(np.float64)
    beta = (regularisation * noise) ** 2
    value = (first * second - beta) / np.maximum(first**2 + second**2 + 2.0 * beta, 1e-12)
    return (np.clip(value, -0.5, 0.5) + 0.5).astype(np.float32)


def cleaned_alone(
    unit: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Darken the air of a combined image that comes without the images it was made of.

    Noise of the whole range is rough, tissue is smooth: what is rough and reached from the rim of
    the field of view is air.

    Parameters
    ----------
    unit : (x, y, z) array
        -0.5 to 0.5.
    affine : (4, 4) array

    Returns
    -------
    image : (x, y, z) float32 array
        0 to 1; 0 in air.
    head : (x, y, z) bool array
    weighted : (x, y, z) float32 array
        The image less what is rough and thick, bone above all: the brain is found on it.
    """
    sigma = _NEAR_MM / affines.voxel_sizes(affine)
    mean = ndimage.gaussian_filter(unit.astype(np.float32), sigma)
    square = ndimage.gaussian_filter(unit.astype(np.float32) ** 2, sigma)
    rough = np.sqrt(np.maximum(square - mean**2, 0.0))
    # A vendor that masks the air leaves one value there.
    flat = (rough < 1e-4) & (mean < -0.45)
    head = _sealed((rough < _ROUGH) & ~flat, affine)
    if head.mean() < _LEAST_HEAD:
        message = "no head was found in the combined MP2RAGE image: all of it is noise."
        raise DataError(message)
    # Edges between tissues are rough, too, but thin; bone is not.
    thick = np.ceil(_BONE_MM / affines.voxel_sizes(affine)).astype(int)
    bone = ndimage.grey_opening(rough, size=tuple(thick | 1))
    smoothness = np.clip(1.0 - (bone / _ROUGH) ** 2, 0.0, 1.0)
    image = np.where(head, unit + 0.5, 0.0).astype(np.float32)
    return image, head, ((image + _SOFTENED_ALONE) * smoothness).astype(np.float32)


def require_one_grid(*arrays: np.ndarray) -> None:
    """Raise when images of one MP2RAGE differ in size."""
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        message = f"the images of one MP2RAGE must share a grid, these have the sizes {shapes}."
        raise GridMismatchError(message)
