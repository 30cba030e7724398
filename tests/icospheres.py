"""Spheres of triangles, and a FreeSurfer subject folder made of two of them, for tests."""

from pathlib import Path

import nibabel as nib
import numpy as np

#: Where the two hemispheres lie, mm; nothing is symmetric about the middle.
CENTRES = {"lh": np.array([-38.0, -12, 9]), "rh": np.array([34.0, -8, 12])}
WHITE_MM, PIAL_MM = 26.0, 29.0


def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices (N, 3) on the unit sphere and faces of a subdivided icosahedron."""
    golden = (1 + 5**0.5) / 2
    points = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    points = [np.roll(p, k) for k in range(3) for p in points]
    vertices = np.array(points) / np.hypot(1, golden)
    near = np.linalg.norm(vertices[:, None] - vertices[None], axis=2)
    edge = near[near > 0].min() * 1.01
    faces = [
        (i, j, k)
        for i in range(12) for j in range(i + 1, 12) for k in range(j + 1, 12)
        if max(near[i, j], near[j, k], near[i, k]) < edge
    ]  # fmt: skip
    faces = np.array(faces)
    for _ in range(level):
        pairs = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        middle = vertices[unique].sum(axis=1)
        a, b, c = (inverse.reshape(-1, 3) + len(vertices)).T
        vertices = np.concatenate([vertices, middle / np.linalg.norm(middle, axis=1)[:, None]])
        i, j, k = faces.T
        parts = ((i, a, c), (a, j, b), (c, b, k), (a, b, c))
        faces = np.concatenate([np.stack(part, axis=1) for part in parts])
    return vertices, faces


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


def footer(image: nib.MGHImage) -> dict:
    """Return what FreeSurfer writes at the end of a surface about its volume."""
    header = image.header
    axes = header["Mdc"].T
    found = {"head": [2, 0, 20], "valid": "1  # volume info valid", "filename": "orig.mgz"}
    found |= {"volume": header["dims"][:3], "voxelsize": header["delta"]}
    found |= {f"{name}ras": axes[:, i] for i, name in enumerate("xyz")}
    return found | {"cras": header["Pxyz_c"]}


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
