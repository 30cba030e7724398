"""Fieldmaps: phase images to off-resonance in Hz, smooth and defined everywhere.

Positive Hz means a higher resonance frequency than the scanner's. A field belongs to the
undistorted head: gradient-echo fieldmaps are acquired without (relevant) distortion.
"""

import logging

import numpy as np
from scipy import ndimage

from mebold.anat.epi_mask import epi_mask
from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.fmap import bending, measured
from mebold.geometry import affines, grids
from mebold.geometry.masks import foreground_mask

logger = logging.getLogger(__name__)

#: Phase with more noise (rad, one SD) is not used. Noise alone has 1.1 at its median magnitude, and
#: stays below this in one voxel of 10^5.
LARGEST_NOISE_RAD = 0.3
_CONTINUED_MM = 4.0
_LEAST_SHARE = 0.1
_FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
_PROTON_HZ_PER_TESLA = 42.577478518e6
_HZ_PER_UNIT = {"hz": 1.0, "rad/s": 1.0 / (2.0 * np.pi), "t": _PROTON_HZ_PER_TESLA}


def field_to_hz(field: np.ndarray, *, units: str | None) -> np.ndarray:
    """Convert a direct field map to Hz.

    Parameters
    ----------
    field : (x, y, z) array
        A BIDS ``_fieldmap`` image.
    units : str
        Its ``Units``: ``Hz``, ``rad/s`` or ``T``.

    Returns
    -------
    (x, y, z) float32 array
        Hz; voxels that are not finite become 0.

    Raises
    ------
    MetadataError
        When `units` is missing or unknown.
    """
    factor = _HZ_PER_UNIT.get(str(units).strip().lower())
    if factor is None:
        message = (
            f"Units of a _fieldmap image is {units!r}: give 'Hz', 'rad/s' or 'T' in its sidecar."
        )
        raise MetadataError(message)
    values = np.nan_to_num(np.asarray(field, dtype=np.float64), posinf=0.0, neginf=0.0)
    return (values * factor).astype(np.float32)


def phasediff_to_hz(
    phase_rad: np.ndarray,
    magnitude: np.ndarray,
    core: np.ndarray,
    *,
    delta_te_s: float,
    affine: np.ndarray,
    curvature: float,
    steepest_hz_mm: float,
) -> np.ndarray:
    """Turn a phase difference into a field map.

    Phase is used wherever it is more than noise and where steps of the field join it to the core,
    however far beyond a brain mask. It is unwrapped there, whole turns are removed so that the
    median in the core lies within half a turn of zero, and the result is smoothed as much as its
    noise asks for and continued where nothing was measured (`bending.fit`).

    Parameters
    ----------
    phase_rad : (x, y, z) array
        Later minus earlier echo, radians, wrapped or not; NaN where not measured.
    magnitude : (x, y, z) array
        Of the same scan, any scale.
    core : (x, y, z) bool array
        Mostly brain. It may lack parts of it; noise and air should not be part of it.
    delta_te_s : float
        Difference of the echo times in seconds, positive.
    affine : (4, 4) array
        Voxel to world, mm.
    curvature : float
        Typical Laplacian of a field in a cube of 3 mm, Hz/mm^2; see `bending.fit`.
    steepest_hz_mm : float
        Neighbours that differ by more than this per mm (and noise) are different tissue.

    Returns
    -------
    (x, y, z) float32 array
        Hz in every voxel.

    Raises
    ------
    MetadataError
        When `delta_te_s` is not positive, or so large that it can only be milliseconds.
    GridMismatchError
        When the arrays differ in shape.
    DataError
        When the core is empty or the magnitude is zero in it.
    """
    if not np.isfinite(delta_te_s) or delta_te_s <= 0 or delta_te_s > 0.1:
        message = (
            f"the echo time difference of the phase images is {delta_te_s} s: "
            "EchoTime1 and EchoTime2 must be given in seconds with EchoTime2 > EchoTime1, "
            "for example 0.00102 s apart."
        )
        raise MetadataError(message)
    magnitude = np.abs(np.nan_to_num(np.asarray(magnitude, dtype=np.float32)))
    _check_shapes(phase=phase_rad, magnitude=magnitude, mask=core)
    core = np.asarray(core, dtype=bool)
    hz_per_rad = 1.0 / (2.0 * np.pi * delta_te_s)
    finite = np.isfinite(phase_rad) & (magnitude > 0)
    scale = measured.noise_per_magnitude(phase_rad, magnitude, core)
    noise = scale / np.where(finite, magnitude, 1.0)
    usable = finite & (noise < LARGEST_NOISE_RAD)
    if not (usable & core).any():
        message = "no voxel of the fieldmap mask has both a phase and a positive magnitude."
        raise DataError(message)
    region = measured.connected(
        phase_rad, noise, measured.touching(usable, core), core, affine,
        steepest_rad_mm=steepest_hz_mm / hz_per_rad,
    )  # fmt: skip
    field = unwrap(phase_rad, region, core=core) * hz_per_rad
    logger.info(
        "phase noise of %.2f Hz in the median, %.0f %% of the mask and %.2f of its volume measured",
        float(np.median(noise[region])) * hz_per_rad,
        100.0 * np.count_nonzero(region & core) / np.count_nonzero(core),
        np.count_nonzero(region) / np.count_nonzero(core),
    )
    start = continued(field, magnitude**2, region, affine=affine)
    options = {"affine": affine, "curvature": curvature}
    return bending.fit(field, noise * hz_per_rad, region, start, **options)


def twophase_to_hz(
    phase1_rad: np.ndarray,
    phase2_rad: np.ndarray,
    *args: np.ndarray,
    te1_s: float,
    te2_s: float,
    **options: object,
) -> np.ndarray:
    """Turn two phase images into a field map.

    Parameters
    ----------
    phase1_rad, phase2_rad : (x, y, z) array
        Radians at the echo times `te1_s` and `te2_s`. An offset common to both cancels.
    *args, **options
        Magnitude, core and the others of `phasediff_to_hz`.
    te1_s, te2_s : float
        Seconds; the order decides the sign, `te2_s` must be the later one.

    Returns
    -------
    (x, y, z) float32 array
        Hz in every voxel.
    """
    _check_shapes(phase1=phase1_rad, phase2=phase2_rad)
    first = np.exp(-1j * np.asarray(phase1_rad, dtype=np.float64))
    difference = np.angle(np.exp(1j * np.asarray(phase2_rad, dtype=np.float64)) * first)
    return phasediff_to_hz(difference, *args, delta_te_s=te2_s - te1_s, **options)


def unwrap(phase_rad: np.ndarray, region: np.ndarray, *, core: np.ndarray) -> np.ndarray:
    """Remove phase jumps inside a region.

    Parameters
    ----------
    phase_rad : (x, y, z) array
        Radians.
    region : (x, y, z) bool array
        Where to unwrap; zero is returned elsewhere.
    core : (x, y, z) bool array
        The object: the median phase over it fixes the number of whole turns. Parts of the region
        that do not touch the largest part are brought within half a turn of it one by one,
        because nothing connects their turns.

    Returns
    -------
    (x, y, z) float64 array
        Radians.

    References
    ----------
    Herraez et al. 2002, Applied Optics 41:7437, as in scikit-image.
    """
    wrapped = np.angle(np.exp(1j * np.nan_to_num(np.asarray(phase_rad, dtype=np.float64))))
    out = np.where(region, wrapped, 0.0)
    if measured.has_jumps(wrapped, region):  # half of the time of a map of 1.5 mm
        from skimage.restoration import unwrap_phase

        box = ndimage.find_objects(region.astype(np.uint8))[0]
        masked = np.ma.masked_array(wrapped[box], mask=~region[box])
        out[box] = np.where(region[box], np.ma.getdata(unwrap_phase(masked, rng=0)), 0.0)
    labels, count = ndimage.label(region)
    main = int(np.argmax(np.bincount(labels[region])))
    inside = (labels == main) & core
    centre = np.median(out[inside if inside.any() else labels == main])
    centre -= _whole_turns(centre)
    for label in range(1, count + 1):
        part = labels == label
        at = part & core
        median = np.median(out[at if at.any() else part])
        out[part] -= _whole_turns(median - (0.0 if label == main else centre))
    return out


def _whole_turns(phase: float) -> float:
    """Return the multiple of 2 pi nearest to a phase."""
    return float(np.round(phase / (2.0 * np.pi)) * 2.0 * np.pi)


def continued(
    field: np.ndarray, weight: np.ndarray, mask: np.ndarray, *, affine: np.ndarray
) -> np.ndarray:
    """Return a field that is defined everywhere, coarse beyond the mask, (x, y, z) float32.

    Parameters are those of `regularise`, which runs on means of blocks of some mm: wide averages
    need no fine grid.
    """
    sizes = affines.voxel_sizes(affine)
    stride = np.maximum(1, np.floor(_CONTINUED_MM / sizes + 1e-3).astype(int))
    if not (stride > 1).any():
        return regularise(field, weight, mask, affine=affine, fwhm_mm=0.0)
    w = _block_sums(np.where(mask, weight, 0.0), stride)
    top = _block_sums(np.where(mask, weight * field, 0.0), stride)
    coarse = np.array(affine, dtype=np.float64)
    coarse[:3, :3] *= stride
    coarse[:3, 3] = affines.apply(affine, (stride - 1) / 2)
    means = top / np.where(w > 0, w, 1.0)
    wide = regularise(means, w, w > 0, affine=coarse, fwhm_mm=0.0)
    fine = grids.onto(wide, coarse, field.shape, affine, mode="nearest")
    return np.where(mask, field, fine).astype(np.float32)


def _block_sums(values: np.ndarray, stride: np.ndarray) -> np.ndarray:
    """Return the sums of blocks of voxels; the last ones are padded with zeros."""
    padding = [(0, int(-n % k)) for n, k in zip(values.shape, stride, strict=True)]
    padded = np.pad(values, padding)
    pairs = [part for n, k in zip(padded.shape, stride, strict=True) for part in (n // k, int(k))]
    return padded.reshape(pairs).sum(axis=(1, 3, 5), dtype=np.float64)


def regularise(
    field: np.ndarray,
    weight: np.ndarray,
    mask: np.ndarray,
    *,
    affine: np.ndarray,
    fwhm_mm: float,
) -> np.ndarray:
    """Smooth a field by weighted averaging and continue it outside the mask.

    Averages under Gaussians of doubling width are blended: where the narrow one has collected
    little weight (outside the mask, in signal dropout) the next wider one decides.

    Parameters
    ----------
    field : (x, y, z) array
        Any unit; ignored outside the mask and where it is not finite.
    weight : (x, y, z) array
        Not negative; magnitude squared is the inverse variance of a phase.
    mask : (x, y, z) bool array
        Where `field` was measured.
    affine : (4, 4) array
        Voxel to world, mm.
    fwhm_mm : float
        Width of the narrowest kernel; 0 leaves measured voxels as they are.

    Returns
    -------
    (x, y, z) float32 array
        Defined in every voxel.

    Raises
    ------
    DataError
        When no voxel of the mask has a finite field and a positive weight.
    """
    _check_shapes(field=field, weight=weight, mask=mask)
    usable = np.asarray(mask, dtype=bool) & np.isfinite(field) & np.isfinite(weight)
    usable &= np.nan_to_num(weight) > 0
    if not usable.any():
        message = "no voxel of the fieldmap has a finite value and a positive weight in the mask."
        raise DataError(message)
    typical = float(np.median(np.asarray(weight)[usable]))
    w = np.where(usable, weight, 0.0).astype(np.float32) / np.float32(typical)
    wf = np.where(usable, field, 0.0).astype(np.float32) * w
    sizes = affines.voxel_sizes(affine)
    extent = float(np.max(np.asarray(field.shape) * sizes))
    sigmas = [max(fwhm_mm * _FWHM_TO_SIGMA, 0.0)]
    start = max(sigmas[0], float(sizes.max()))
    while start < extent / 2:
        start *= 2.0
        sigmas.append(start)
    result = np.float32(wf.sum(dtype=np.float64) / w.sum(dtype=np.float64))
    for sigma in reversed(sigmas):
        if sigma > 0:
            result = _blend(wf, w, sigma / sizes, result)
    if fwhm_mm <= 0:
        result = np.where(usable, field, result)
    return np.asarray(result, dtype=np.float32)


def _blend(wf: np.ndarray, w: np.ndarray, sigma: np.ndarray, coarser: np.ndarray) -> np.ndarray:
    """Average under one Gaussian; the coarser result counts as a small prior weight."""
    prior = np.float32(1e-3)
    top = ndimage.gaussian_filter(wf, sigma, mode="constant", truncate=3.0)
    bottom = ndimage.gaussian_filter(w, sigma, mode="constant", truncate=3.0)
    return (top + prior * coarser) / (bottom + prior)


def magnitude_mask(magnitude: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the object of a fieldmap magnitude (or the mean of both) as (x, y, z) bool.

    The magnitude is bias corrected first, so that a surface coil does not cut the centre out. A
    slab without air around it defeats the search for an outline: where less than a tenth of the
    foreground is found, all of the foreground counts.
    """
    mask = epi_mask(magnitude, affine)
    foreground = foreground_mask(magnitude)
    if np.count_nonzero(mask) < _LEAST_SHARE * np.count_nonzero(foreground):
        logger.warning(
            "no brain was found in the fieldmap magnitude (%d of %d voxels with signal): all "
            "voxels with signal are used",
            np.count_nonzero(mask), np.count_nonzero(foreground),
        )  # fmt: skip
        return foreground
    return mask


def _check_shapes(**arrays: np.ndarray) -> None:
    """Raise when arrays that share a grid differ in shape."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        message = f"fieldmap images differ in size: {shapes}."
        raise GridMismatchError(message)
