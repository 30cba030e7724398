"""Surfaces of a subject in the world of its T1w, as jobs read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mebold.anat import mni
from mebold.errors import DataError
from mebold.files import surfaces
from mebold.geometry import affines
from mebold.rois.surfaces import share_inside, tkr_to_scanner

#: What the spaces of surfaces are, for sidecars, and how a map gets there.
REFERENCES = {
    "fsnative": "Surface of the subject in its FreeSurfer folder",
    "fsaverage": "FreeSurfer's average surface, 163,842 vertices a hemisphere",
    "fsaverage5": "FreeSurfer's average surface, 10,242 vertices a hemisphere, as in nilearn",
}
_DEPTHS = "mean over depths between white and pial surface, linear between voxels with data"
WAYS = {
    "fsnative": f"{_DEPTHS}.",
    "fsaverage": f"{_DEPTHS}, then linear between vertices by sphere.reg.",
    "fsaverage5": f"{_DEPTHS}, then linear between vertices by sphere.reg.",
    "template": f"{_DEPTHS} of the average brain, through the alignment of T1w and template: "
    "without surfaces of the subject, whose folds it does not know.",
}


@dataclass(frozen=True)
class Hemisphere:
    """White and pial surface of a hemisphere.

    Attributes
    ----------
    white, pial : (N, 3) array
        World of the T1w, mm.
    faces : (F, 3) int array
    """

    white: np.ndarray
    pial: np.ndarray
    faces: np.ndarray


def read(
    white: Sequence[str],
    pial: Sequence[str],
    *,
    brain: np.ndarray,
    affine: np.ndarray,
    least_inside: float,
) -> dict[str, Hemisphere]:
    """Read the surfaces of a subject, left before right.

    Parameters
    ----------
    white, pial : sequence of str
        Files of the two hemispheres.
    brain : (x, y, z) bool array
        Brain of the subject; a share `least_inside` of the vertices has to lie in it.
    affine : (4, 4) array
        Its voxel to world, mm.
    least_inside : float

    Returns
    -------
    dict of str to Hemisphere
        By ``L`` and ``R``.

    Raises
    ------
    DataError
        When surfaces do not have the same vertices, or lie outside of the brain.
    """
    found = {}
    for hemi, *paths in zip(surfaces.HEMISPHERES, white, pial, strict=False):
        (inner, faces), (outer, others) = (_in_world(path) for path in paths)
        if len(inner) != len(outer) or not np.array_equal(faces, others):
            raise DataError(
                f"{paths[0]} has {len(inner)} vertices and {paths[1]} {len(outer)}, or other "
                "triangles: they are surfaces of two subjects or two runs of FreeSurfer"
            )
        share = share_inside(inner, outer, brain, affine)
        if share < least_inside:
            raise DataError(
                f"{Path(paths[0]).parents[1]}: {100 * share:.0f} % of the cortex of "
                f"{Path(paths[0]).name} lie in the brain of the T1w, at least "
                f"{100 * least_inside:.0f} % are needed (`rois.surface.least_inside`): it is the "
                "folder of another subject, or was made from another image than this T1w"
            )
        found[hemi] = Hemisphere(inner, outer, faces)
    return found


def _in_world(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices in the world of the scanner, and faces."""
    vertices, faces, geometry = surfaces.read_surface(path)
    if geometry:
        vertices = affines.apply(tkr_to_scanner(geometry), vertices)
    return vertices, faces


def fsaverage5(hemi: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a surface of the average brain that comes inside the nilearn package.

    Parameters
    ----------
    hemi : {"L", "R"}
    name : {"white", "pial", "sphere", "infl"}

    Returns
    -------
    vertices : (10242, 3) array
        mm, MNI world; of the sphere about its centre.
    faces : (20480, 3) array

    Raises
    ------
    DataError
        When nilearn is not installed.

    References
    ----------
    Fischl et al. 1999, Human Brain Mapping 8:272.
    """
    side = {"L": "left", "R": "right"}[hemi]
    folder = mni.bundled("the surface fsaverage5") / "fsaverage5"
    vertices, faces, _ = surfaces.read_surface(folder / f"{name}_{side}.gii.gz")
    return vertices, faces
