"""What a T1w image and its segmentation are worth in numbers: volumes, contrast and noise.

Names are those of MRIQC where it has them.
"""

import numpy as np
from scipy import ndimage

from mebold.anat.labels import CSF, GM, WM
from mebold.errors import GridMismatchError
from mebold.geometry import affines, masks

#: Measure -> unit, description (with the definition and where it comes from).
MEASURES = {
    "intracranial_ml": ("mL", "volume of the brain mask: brain and the fluid around it"),
    "gm_ml": ("mL", "grey matter, voxels of the class"),
    "wm_ml": ("mL", "white matter, voxels of the class"),
    "csf_ml": ("mL", "cerebrospinal fluid inside the mask, voxels of the class"),
    "gm_probability_ml": ("mL", "grey matter, sum of its share in each voxel"),
    "wm_probability_ml": ("mL", "white matter, sum of its share in each voxel"),
    "csf_probability_ml": ("mL", "cerebrospinal fluid, sum of its share in each voxel"),
    "gm_share": ("1", "gm_ml over intracranial_ml"),
    "snr_gm": ("1", "mean over standard deviation in grey matter (Magnotta 2006)"),
    "snr_wm": ("1", "mean over standard deviation in white matter (Magnotta 2006)"),
    "cnr": (
        "1",
        "mean of white less that of grey matter over the root of the summed variances of air, "
        "white and grey matter (Magnotta 2006)",
    ),
    "cjv": (
        "1",
        "sum of the standard deviations of white and grey matter over the difference of their "
        "means; low is good (Ganzetti 2016)",
    ),
    "efc": ("1", "entropy focus criterion of the image over its largest value (Atkinson 1997)"),
    "fber": ("1", "mean energy in the head over that in the air around it (Shehzad 2015)"),
    "qi_1": ("1", "share of the air around the head in structured artefacts (Mortamet 2009)"),
    "wm2max": ("1", "median of white matter over the 99.95th percentile of the image"),
    "inu_med": ("1", "median over the brain of the bias field, its mean in the brain being 1"),
    "inu_range": ("1", "95th less 5th percentile over the brain of the bias field"),
    "template_mask_dice": ("1", "Dice overlap of brain and template after alignment"),
    "template_correlation": ("1", "correlation of image and template in the brain, aligned"),
    "brain_at_edge": (
        "1",
        "share of the mask's surface on the edge of the image: a brain that is cut",
    ),
}


def volumes(dseg: np.ndarray, probseg: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> dict:
    """Return the volumes of `MEASURES`.

    Parameters
    ----------
    dseg : (x, y, z) array
        0 outside, 1 GM, 2 WM, 3 CSF.
    probseg : (3, x, y, z) array
        Share of GM, WM and CSF in each voxel.
    mask : (x, y, z) bool array
        Brain.
    affine : (4, 4) array
        Voxel to world, mm.

    Returns
    -------
    dict of float
    """
    if not dseg.shape == mask.shape == probseg.shape[1:]:
        message = f"classes {dseg.shape}, probabilities {probseg.shape} and mask {mask.shape}."
        raise GridMismatchError(message)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    whole = voxel_ml * np.count_nonzero(mask)
    found = {"intracranial_ml": whole}
    for name, label in (("gm", GM), ("wm", WM), ("csf", CSF)):
        found[f"{name}_ml"] = voxel_ml * np.count_nonzero(dseg == label)
    for name, part in zip(("gm", "wm", "csf"), probseg, strict=True):
        found[f"{name}_probability_ml"] = voxel_ml * float(part.sum(dtype=np.float64))
    return found | {"gm_share": found["gm_ml"] / whole}


def of_image(
    raw: np.ndarray, even: np.ndarray, affine: np.ndarray, *, dseg: np.ndarray, mask: np.ndarray
) -> dict:
    """Return the measures of contrast, noise and artefacts of `MEASURES`.

    Parameters
    ----------
    raw : (x, y, z) array
        As acquired.
    even : (x, y, z) array
        Bias-corrected.
    affine : (4, 4) array
        Voxel to world, mm.
    dseg : (x, y, z) array
        0 outside, 1 GM, 2 WM, 3 CSF.
    mask : (x, y, z) bool array
        Brain.

    Returns
    -------
    dict of float
        NaN where there is nothing to measure: no air around the head, or set to 0 by the scanner.

    References
    ----------
    Definitions as in MRIQC (Esteban et al. 2017, PLoS ONE 12:e0184661), whose air is a mask too.
    """
    raw = np.maximum(np.nan_to_num(np.asarray(raw, dtype=np.float64)), 0)
    grey, white = (even[dseg == label] for label in (GM, WM))
    mean, spread = ([float(f(v)) for v in (grey, white)] for f in (np.mean, np.std))
    air = _air(raw, affine, mask)
    noise = even[air] if air.any() else np.zeros(1)
    contrast = mean[1] - mean[0]
    bias = raw[mask] / np.maximum(even[mask], 1e-6)
    bias /= max(float(bias.mean()), 1e-6)
    return {
        "snr_gm": _snr(grey),
        "snr_wm": _snr(white),
        "cnr": contrast / float(np.sqrt(noise.var() + spread[0] ** 2 + spread[1] ** 2)),
        "cjv": (spread[0] + spread[1]) / contrast if contrast else np.nan,
        "efc": efc(raw),
        "fber": _fber(raw, air, mask),
        "qi_1": qi_1(raw, air),
        "wm2max": float(np.median(even[dseg == WM]) / np.percentile(even, 99.95)),
        "inu_med": float(np.median(bias)),
        "inu_range": float(np.ptp(np.percentile(bias, [5, 95]))),
        "brain_at_edge": _at_edge(mask),
    }


def efc(image: np.ndarray) -> float:
    """Return the entropy focus criterion of a non-negative image, 0 (one voxel) to 1 (even).

    Atkinson et al. 1997, IEEE TMI 16:903. Ghosts and motion raise it.
    """
    flat = np.asarray(image, dtype=np.float64).ravel()
    norm = np.sqrt(np.sum(flat**2))
    if norm == 0:
        return np.nan
    share = flat[flat > 0] / norm
    largest = flat.size * np.log(np.sqrt(flat.size)) / np.sqrt(flat.size)
    return float(-np.sum(share * np.log(share)) / largest)


def qi_1(image: np.ndarray, air: np.ndarray) -> float:
    """Return the share of the air's voxels in artefacts: bright ones that hold together.

    Voxels above the mode of the air's intensities that an opening leaves (Mortamet et al. 2009,
    MRM 62:365).

    Parameters
    ----------
    image : (x, y, z) array
    air : (x, y, z) bool array

    Returns
    -------
    float
        NaN without air, or where most of it is 0.
    """
    values = image[air]
    if values.size < 1000 or np.mean(values > 0) < 0.5:
        return np.nan
    counts, edges = np.histogram(values, bins=100, range=(0, np.percentile(values, 99)))
    # Noise of a magnitude has its mode at one standard deviation; nearly all lies below four.
    mode = 0.5 * (edges[:-1] + edges[1:])[np.argmax(counts)]
    bright = air & (image > 4 * mode)
    held = ndimage.binary_opening(bright, ndimage.generate_binary_structure(3, 1))
    return float(np.count_nonzero(held) / values.size)


def _snr(values: np.ndarray) -> float:
    spread = float(values.std()) if values.size > 1 else 0.0
    n = values.size
    return float(values.mean()) / (spread * np.sqrt(n / (n - 1))) if spread else np.nan


def _air(image: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the air around the head and above its base, without the head's rim."""
    head = masks.foreground_mask(image.astype(np.float32))
    head = masks.dilated(head | masks.dilated(mask, affine, 15.0), affine, 10.0)
    points = affines.grid_points(mask.shape, affine)[:, 2].reshape(mask.shape)
    # Below the brain there is neck, jaw and what a coil sees of the shoulders.
    return ~head & (points > points[mask].min())


def _fber(image: np.ndarray, air: np.ndarray, mask: np.ndarray) -> float:
    head = masks.foreground_mask(image.astype(np.float32)) | mask
    noise = float(np.mean(image[air] ** 2)) if air.any() else 0.0
    signal = float(np.mean(image[head] ** 2))
    # Air that was set to 0 has rounding in it after an interpolation.
    return signal / noise if noise > 1e-9 * signal else np.nan


def _at_edge(mask: np.ndarray) -> float:
    """Return the share of the surface of a mask that lies on a face of the image."""
    surface = np.count_nonzero(mask & ~ndimage.binary_erosion(mask))
    faces = [np.count_nonzero(mask.take(at, axis)) for axis in range(3) for at in (0, -1)]
    return sum(faces) / surface if surface else 0.0
