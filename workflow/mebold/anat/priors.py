"""Where each tissue is to be expected: maps of the bundled template, brought to a T1w image.

Grey matter of the basal ganglia and the thalamus is a class of its own. It is nearly as bright as
white matter in a T1w image, and an average of many heads calls half of it white.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.anat import mni, template
from mebold.geometry import affines, displacement, grids, interpolation
from mebold.registration import doubts

#: Classes of the priors, in the order of their maps; the last is grey matter too.
CLASSES = ("CSF", "GM", "WM", "deep")

# Thalamus, putamen with pallidum, and caudate (head, body): centre and half axes in MNI mm, of the
# right half; the turn in degrees in the axial plane. Generous: what inside them is grey is decided
# by the template's intensity.
_NUCLEI = (
    ((12.0, -18.0, 7.0), (11.5, 17.5, 13.0), 25.0),
    ((24.5, 1.0, 1.0), (10.0, 22.0, 15.0), 20.0),
    ((12.0, 14.0, 4.0), (8.5, 12.5, 14.0), 15.0),
    ((14.5, 0.0, 20.0), (7.0, 17.0, 7.5), 15.0),
)
# Bright: white; the template has 0.65 in cortex, 0.87 in white matter, 0.70 to 0.81 in the nuclei.
_WHITE_FROM = 0.815
_WHITE_WIDTH = 0.008
# No tissue is impossible inside the brain: heads differ from the template.
_FLOOR = 0.02


@dataclass(frozen=True)
class Priors:
    """Tissue maps of the template on the grid of a T1w image.

    Attributes
    ----------
    maps : (4, x, y, z) float32 array or None
        Share of each of `CLASSES`; they add up to 1. None where the template does not fit.
    quality : dict
        ``correlation``, ``mask_dice``, ``round_trip_mm`` and ``displacement_mm`` of the alignment,
        as in `mebold.anat.template.quality`.
    refused : str
        Why there are no maps; empty with them.
    """

    maps: np.ndarray | None
    quality: dict
    refused: str = ""

    def measures(self) -> dict:
        """Return how well the template fits, as `mebold.anat.measures.MEASURES` names it."""
        names = ("mask_dice", "correlation")
        return {f"template_{name}": self.quality.get(name) for name in names}


def template_maps(voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the (4, x, y, z) float32 shares of `CLASSES` in the template, and its affine."""
    maps, affine = mni.load_template(voxel_mm)
    grey, white = maps["gm"], maps["wm"]
    inside = maps["brain"] > 0.5
    fluid = np.where(inside, np.clip(1 - grey - white, 0, 1), 1.0)
    points = affines.grid_points(grey.shape, affine)
    points[:, 0] = np.abs(points[:, 0])
    region = np.zeros(len(points), dtype=np.float32)
    for centre, half_axes, turn_deg in _NUCLEI:
        turn = np.deg2rad(turn_deg)
        axes = np.array(
            [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
        )
        radius = np.linalg.norm((points - centre) @ axes.T / half_axes, axis=1)
        region = np.maximum(region, 1 / (1 + np.exp((radius - 1.1) / 0.05)))
    dark = 1 / (1 + np.exp((maps["t1"] - _WHITE_FROM) / _WHITE_WIDTH))
    deep = region.reshape(grey.shape) * dark
    rest = (1 - deep) * (1 - fluid)
    total = np.maximum(grey + white, 1e-6)
    found = np.stack([fluid, rest * grey / total, rest * white / total, deep * (1 - fluid)])
    return found.astype(np.float32), affine


def on_image(
    t1w: np.ndarray, affine: np.ndarray, mask: np.ndarray, *, registration_mm: float, seed: int
) -> Priors:
    """Bring the tissue maps of the bundled template to a T1w image.

    Parameters
    ----------
    t1w : (x, y, z) array
        Bias-corrected.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain.
    registration_mm : float
        Voxel size of the nonlinear registration.
    seed : int

    Returns
    -------
    Priors
        Outside the box of the mask the maps are those of fluid alone.
    """
    box, box_affine, inside = grids.crop_to_mask(t1w, affine, mask, margin_mm=5.0)
    maps, template_affine = mni.load_template(1.0)
    target = template.Brain(maps["t1"], maps["brain"] > 0.5, template_affine)
    own = template.Brain(box, mask[inside], box_affine)
    found = template.align(target, own, voxel_mm=registration_mm, seed=seed)
    numbers, _ = template.quality(target, own, found)
    points = affines.grid_points(box.shape, box_affine)
    there = points + displacement.at_points(found.to_template, found.t1w_affine, points)
    shares, shares_affine = template_maps(1.0)
    # An alignment is wrong by about a voxel of its grid: priors are no sharper than that.
    blur = 0.35 * registration_mm / affines.voxel_sizes(shares_affine)
    carried = np.stack(
        [
            interpolation.resample_volume(
                ndimage.gaussian_filter(share, blur), shares_affine, there, order=1
            ).reshape(box.shape)
            for share in shares
        ]
    )
    carried[:3] += _FLOOR
    # Beyond the template's field of view nothing is known of the tissue.
    carried /= carried.sum(axis=0)
    whole = np.zeros((len(CLASSES), *t1w.shape), dtype=np.float32)
    whole[0] = 1.0
    whole[(slice(None), *inside)] = carried
    return Priors(whole, numbers)


def expected(
    t1w: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    settings: Mapping,
    *,
    limits: Mapping,
    seed: int,
) -> Priors:
    """Return the priors of an image, or why there are none: a doubtful alignment gives no priors.

    Parameters
    ----------
    t1w, affine, mask
        As in `on_image`.
    settings : mapping
        ``priors`` and ``registration_mm`` of the section ``anat``.
    limits : mapping
        ``least_correlation`` and ``least_dice`` of the section ``template``.
    seed : int

    Returns
    -------
    Priors
    """
    if not settings["priors"]:
        return Priors(None, {}, "`anat.priors` is false")
    options = {"registration_mm": settings["registration_mm"], "seed": seed}
    try:
        found = on_image(t1w, affine, mask, **options)
    # antspyx raises plain exceptions; a scan without priors is better than none.
    except Exception as error:
        return Priors(None, {}, f"the alignment with the template failed: {error}")
    doubtful = doubts.of(found.quality, limits, doubts.TEMPLATE)
    return Priors(None, found.quality, doubtful[0]) if doubtful else found
