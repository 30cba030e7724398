"""A FreeSurfer subject folder made of two spheres, for tests."""

from pathlib import Path

import nibabel as nib
import numpy as np

from mebold.phantom.cortex import icosphere
from mebold.phantom.freesurfer import footer

#: Where the two hemispheres lie, mm; nothing is symmetric about the middle.
CENTRES = {"lh": np.array([-38.0, -12, 9]), "rh": np.array([34.0, -8, 12])}
WHITE_MM, PIAL_MM = 26.0, 29.0


def volume_of_freesurfer(shift: np.ndarray, *, oblique: bool = False) -> nib.MGHImage:
    """Return a conformed volume (LIA, 1 mm) about a point, as FreeSurfer makes its own."""
    axes = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    if oblique:
        c, s = np.cos(0.2), np.sin(0.2)
        axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ axes
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = shift - axes @ np.full(3, 128.0)
    return nib.MGHImage(np.zeros((256, 256, 256), np.uint8), affine)


def to_tkr(vertices: np.ndarray, image: nib.MGHImage) -> np.ndarray:
    """Take places of the scanner's world to FreeSurfer's surface coordinates, by nibabel."""
    matrix = image.header.get_vox2ras_tkr() @ np.linalg.inv(image.affine)
    return nib.affines.apply_affine(matrix, vertices)


def subject_folder(
    place: Path, *, level: int = 4, shift=(3.0, -9, 21), centres: dict | None = None
) -> Path:
    """Write a subject folder whose two hemispheres are shells of 3 mm, with spheres."""
    centres = centres or CENTRES
    image = volume_of_freesurfer(np.array(shift))
    (place / "surf").mkdir(parents=True)
    (place / "label").mkdir()
    unit, faces = icosphere(level)
    for hemi, centre in centres.items():
        for name, radius in (("white", WHITE_MM), ("pial", PIAL_MM)):
            own = to_tkr(centre + radius * unit, image)
            nib.freesurfer.write_geometry(
                place / f"surf/{hemi}.{name}", own, faces, volume_info=footer(image)
            )
        nib.freesurfer.write_geometry(
            place / f"surf/{hemi}.sphere.reg", 100 * unit, faces, volume_info=footer(image)
        )
    return place
