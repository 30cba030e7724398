"""Rigid alignment of an EPI reference with the T1-weighted anatomy."""

import logging

import numpy as np

from mebold.anat.bias import bias_correct
from mebold.coreg import agreement, bbr
from mebold.coreg import t2w as t2w_image
from mebold.coreg.stages import STAGES
from mebold.errors import DataError
from mebold.geometry import affines, masks
from mebold.registration import unlike

logger = logging.getLogger(__name__)

_SEED = 1
_BOUNDARY_POINTS = 40_000
_BBR_DISTANCE_MM = 1.2


def boldref_to_t1w(
    boldref: np.ndarray,
    boldref_affine: np.ndarray,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    *,
    boldref_mask: np.ndarray,
    t1w_mask: np.ndarray,
    wm_probability: np.ndarray | None = None,
    t2w: tuple[np.ndarray, np.ndarray] | None = None,
    target: str = "auto",
    max_bbr_shift_mm: float = 2.0,
    least_bbr_gain: float = 2.0,
    least_mutual_information: float = 0.15,
    seed: int = _SEED,
) -> tuple[np.ndarray, dict]:
    """Align a distortion-corrected EPI reference with the T1w image.

    Mutual information inside the brain first, with the T1w image or with a T2w image that is itself
    aligned with the T1w; then, with a white-matter map, the boundary-based refinement, which is
    refused when it moves any brain voxel further than a limit.

    Parameters
    ----------
    boldref : (x, y, z) array
        EPI reference, not bias corrected.
    boldref_affine : (4, 4) array
        Voxel to world, mm.
    t1w : (x', y', z') array
        Bias-corrected T1w image, with or without skull.
    t1w_affine : (4, 4) array
        Voxel to world, mm.
    boldref_mask, t1w_mask : bool arrays
        Brain, on the grid of the respective image.
    wm_probability : (x', y', z') array, optional
        White matter 0 to 1 on the T1w grid. Without it the refinement is left out.
    t2w : (volume (x, y, z), affine (4, 4)), optional
        T2w image, not bias corrected; its contrast is that of the EPI.
    target : {"auto", "T1w", "T2w"}
        Image to which the EPI is aligned first. ``auto`` tries both and keeps the alignment under
        which the EPI shows the better contrast across the white-matter surface (T1w without a
        white-matter map or a T2w image). Where the alignment of T2w and T1w is doubtful,
        ``T2w`` counts as ``auto``, and ``t2w_doubts`` says so.
    max_bbr_shift_mm : float
        Limit for the refinement.
    least_bbr_gain : float
        Standard errors by which the refinement has to lower the cost, see `bbr.gain`: below, it
        follows noise and errors of the white-matter map.
    least_mutual_information : float
        Of T2w and T1w in the brain, nats; a T2w with less is doubted.
    seed : int
        Of all sampling.

    Returns
    -------
    matrix : (4, 4) float64 array
        Rigid point map T1w -> EPI, world mm: ``boldref(matrix @ x)`` shows the tissue of
        ``t1w(x)``.
    qc : dict
        ``image`` (T1w or T2w, which the EPI was aligned to first), ``image_costs`` (boundary cost
        of each tried, 0 to 2), ``t2w`` (quality of its alignment with the T1w, see `t2w.on_t1w`;
        None where it was not tried), ``t2w_doubts`` (sentences),
        ``mask_dice`` (T1w mask cut to the EPI's field of view against the
        EPI mask),
        ``mutual_information`` in nats with and without alignment (``..._initial``),
        ``mutual_information_nearby`` (see `agreement.agreement`),
        ``bbr_cost_before``, ``bbr_cost_after``, ``bbr_shift_mm`` (largest over the brain; None
        without refinement), ``bbr_gain`` and ``bbr_gain_error`` (see `bbr.gain`),
        ``bbr_accepted``, ``bbr_refused`` (``shift``, ``gain`` or None), ``shift_mm`` (largest
        displacement of a brain voxel by the whole alignment), ``rotation_deg``, ``coverage`` (share
        of the T1w brain inside the EPI's field of view).

    Raises
    ------
    DataError
        When a mask is empty or an image holds nothing in it.

    References
    ----------
    Mattes mutual information as in antspyx 0.6.3; Greve & Fischl 2009, NeuroImage 48:63.
    """
    boldref_mask, t1w_mask = (np.asarray(m, dtype=bool) for m in (boldref_mask, t1w_mask))
    boldref = np.nan_to_num(np.asarray(boldref, dtype=np.float32), posinf=0.0, neginf=0.0)
    t1w = np.nan_to_num(np.asarray(t1w, dtype=np.float32), posinf=0.0, neginf=0.0)
    for name, image, mask in (("EPI", boldref, boldref_mask), ("T1w", t1w, t1w_mask)):
        if image.shape != mask.shape or not np.any(image[mask]):
            message = (
                f"the {name} brain mask is empty, of another size, or the image is zero in it."
            )
            raise DataError(message)
    epi = bias_correct(boldref, boldref_affine, masks.dilated(boldref_mask, boldref_affine, 3.0))
    fixed = agreement.working_t1w(t1w, t1w_affine, t1w_mask, boldref_affine)
    moving = agreement.dim_outside(epi, boldref_affine, boldref_mask)
    score = unlike.scorer(fixed[:3], moving, boldref_affine)
    boundary = None
    if wm_probability is not None:
        boundary = bbr.white_matter_boundary(
            wm_probability, t1w_affine, n_points=_BOUNDARY_POINTS, seed=seed, mask=t1w_mask
        )
    if boundary is None and target == "auto":
        target = "T1w"
    images, about_t2w = _images(
        fixed, t2w, target, least_mutual_information, seed, boundary is None
    )
    epis = (moving, boldref_affine, boldref_mask)
    found = {name: _by_mutual_information(image, *epis, seed) for name, image in images.items()}
    costs = {
        name: None if boundary is None else _boundary_cost(matrix, boundary, epi, boldref_affine)
        for name, matrix in found.items()
    }
    image = min(found, key=lambda name: costs[name] or 0.0)
    about_t2w["t2w_doubts"] = t2w_image.in_words(about_t2w["t2w_doubts"], image)
    mutual = found[image]
    brain = affines.grid_points(fixed[0].shape, fixed[1], fixed[3])
    qc = {"image": image, "image_costs": costs, **about_t2w}
    names = ("cost_before", "cost_after", "shift_mm", "gain", "gain_error", "refused")
    qc |= {f"bbr_{name}": None for name in names} | {"bbr_accepted": False}
    matrix = mutual
    if boundary is not None:
        limits = {"max_bbr_shift_mm": max_bbr_shift_mm, "least_gain": least_bbr_gain}
        matrix = _refined(mutual, boundary, epi, boldref_affine, brain, **limits, qc=qc)
    qc["mutual_information_initial"] = score(np.eye(4))
    qc["mutual_information"] = score(matrix)
    qc["mutual_information_nearby"] = unlike.nearby(score, matrix, fixed[1], fixed[3])
    qc.update(agreement.overlap_of(matrix, t1w_mask, t1w_affine, boldref_mask, boldref_affine))
    return matrix, qc | unlike.movement(matrix, brain)


def _by_mutual_information(
    fixed: tuple[np.ndarray, ...],
    moving: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the rigid point map from a working image to the EPI, from the best start."""
    centres = [
        affines.apply(grid, np.argwhere(brain).mean(axis=0))
        for grid, brain in ((fixed[1], fixed[3]), (affine, mask))
    ]
    score = unlike.scorer(fixed[:3], moving, affine)
    ranked = sorted(unlike.starts(*centres), key=score, reverse=True)
    return unlike.search(fixed[:3], moving, affine, ranked, stages=STAGES, seed=seed)


def _images(
    fixed: tuple[np.ndarray, ...],
    t2w: tuple[np.ndarray, np.ndarray] | None,
    target: str,
    least: float,
    seed: int,
    no_boundary: bool,
) -> tuple[dict[str, tuple[np.ndarray, ...]], dict]:
    """Return the working images that the target allows, and what was found about the T2w."""
    if t2w is None or target == "T1w":
        return {"T1w": fixed}, {"t2w": None, "t2w_doubts": []}
    image, quality, found = t2w_image.on_t1w(fixed, t2w, least_mutual_information=least, seed=seed)
    # Where the T2w is doubted the contrast of the EPI decides, also when it was asked for by name.
    images = {} if target == "T2w" and not found else {"T1w": fixed}
    if not (found and no_boundary):
        images |= {"T2w": (image, *fixed[1:])}
    return images, {"t2w": quality, "t2w_doubts": found}


def _boundary_cost(
    matrix: np.ndarray, boundary: bbr.Boundary, epi: np.ndarray, affine: np.ndarray
) -> float:
    """Return how badly the EPI's contrast across the white-matter surface fits, 0 to 2."""
    return bbr.cost(matrix, boundary, epi, np.linalg.inv(affine), distance_mm=_BBR_DISTANCE_MM)


def _refined(
    start: np.ndarray,
    boundary: bbr.Boundary,
    epi: np.ndarray,
    epi_affine: np.ndarray,
    brain: np.ndarray,
    *,
    max_bbr_shift_mm: float,
    least_gain: float,
    qc: dict,
) -> np.ndarray:
    """Return the boundary-based refinement, or the start where it is refused; fill in the QC."""
    options = {"distance_mm": _BBR_DISTANCE_MM}
    matrix, before, after = bbr.refine(start, boundary, epi, epi_affine, **options)
    to_voxel = np.linalg.inv(epi_affine)
    gain, error = bbr.gain(start, matrix, boundary, epi, to_voxel, **options)
    shift = float(affines.displacements(matrix, start, brain).max())
    refused = None if gain > least_gain * error else "gain"
    if shift > max_bbr_shift_mm:
        refused = "shift"
    qc |= {"bbr_cost_before": before, "bbr_cost_after": after, "bbr_shift_mm": shift}
    qc |= {"bbr_gain": gain, "bbr_gain_error": error}
    qc |= {"bbr_accepted": refused is None, "bbr_refused": refused}
    if refused:
        logger.log(
            logging.WARNING if refused == "shift" else logging.INFO,
            "boundary-based refinement refused for its %s: it moves a brain voxel by %.2f mm "
            "(limit %.2f mm) and lowers the cost of %.4f by %.5f +- %.5f (at least %g errors)",
            refused, shift, max_bbr_shift_mm, before, gain, error, least_gain,
        )  # fmt: skip
    return start if refused else matrix
