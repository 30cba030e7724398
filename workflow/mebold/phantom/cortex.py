"""Surfaces of the simulated cortex: spheres of triangles, fitted to the template's tissue.

White and pial surface of a hemisphere are one mesh, so that vertex i of both is one place. A
sphere shrinks onto the boundary of white matter (with what lies within it: ventricles and nuclei),
which is smooth at first and has its folds at last; from there the vertices go outwards until grey
matter ends, or the cortex of the other bank of a sulcus begins.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from mebold.geometry import affines
from mebold.phantom import anatomy

#: Middle of the white matter of the left hemisphere, MNI mm; the right one is its mirror image.
_CENTRE_MM = np.array([-33.0, -18.0, 16.0])
_HALF_AXES_MM = np.array([32.0, 82.0, 52.0])  # of a hemisphere: as long as the mesh starts
_LEVEL = 5  # of the icosphere: 10,242 vertices, as many as fsaverage5 has
_SIGMAS_MM, _DAMPING, _ROUNDS = (6.0, 3.0, 1.0), (0.3, 0.15, 0.08), 60
_DEEP_MM = 25.0  # no cortex lies so deep: holes of the white matter are filled there
_STEP_MM, _THICKEST_MM = 0.25, 4.0
_THINNEST_MM = 1.0  # below it a place is not cortex: medial wall, cut of the brain stem


@dataclass(frozen=True)
class Hemisphere:
    """The surfaces of one hemisphere in MNI152 space.

    Attributes
    ----------
    white, pial : (N, 3) array
        mm.
    faces : (F, 3) int array
        Counter-clockwise seen from outside, as FreeSurfer has them.
    sphere : (N, 3) array
        The same vertices on a sphere of 1.
    registered : (N, 3) array
        On a sphere of 1, where fsaverage has what lies at the same place of the brain.
    cortex : (N,) bool array
        Whether there is any cortex between the surfaces.
    """

    white: np.ndarray
    pial: np.ndarray
    faces: np.ndarray
    sphere: np.ndarray
    registered: np.ndarray
    cortex: np.ndarray


def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices (N, 3) on the unit sphere and faces (F, 3) of a subdivided icosahedron.

    Faces run counter-clockwise seen from outside.
    """
    golden = (1 + 5**0.5) / 2
    points = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    vertices = np.array([np.roll(p, k) for k in range(3) for p in points]) / np.hypot(1, golden)
    near = np.linalg.norm(vertices[:, None] - vertices[None], axis=2)
    linked = (near > 0) & (near < near[near > 0].min() * 1.01)
    i, j, k = np.indices((12, 12, 12))
    faces = np.argwhere((i < j) & (j < k) & linked[i, j] & linked[j, k] & linked[i, k])
    inwards = np.linalg.det(vertices[faces]) < 0
    faces[inwards] = faces[inwards][:, ::-1]
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


@lru_cache(maxsize=2)
def hemisphere(hemi: str) -> Hemisphere:
    """Fit the surfaces of a hemisphere to the template.

    Parameters
    ----------
    hemi : {"lh", "rh"}

    Returns
    -------
    Hemisphere
    """
    side = {"lh": -1, "rh": 1}[hemi]
    unit, faces = icosphere(_LEVEL)
    mean = _neighbours(faces, len(unit))
    tissue, affine = anatomy.template()
    # A little more than the half, so that nothing is cut off before it is blurred.
    x = affine[0, 0] * np.arange(tissue["gm"].shape[0]) + affine[0, 3]
    keep = np.flatnonzero(x * side > -20)
    affine = affine.copy()
    affine[0, 3] = x[keep[0]]
    maps = {name: tissue[name][keep[0] : keep[-1] + 1] for name in ("gm", "wm", "brain")}
    own = _cerebrum(maps["gm"].shape, affine, side) & (maps["brain"] > 0.5)
    inner = _inside_of_cortex(maps["wm"] > 0.5, maps["brain"] > 0.5, own)
    white = _shrunk(unit, faces, mean, inner, affine, _CENTRE_MM * [-side, 1, 1])
    thickness = _thickness(white, faces, mean, inner, (maps["gm"] >= 0.5) & own, affine)
    pial = white + thickness[:, None] * _normals(white, faces)
    registered = _registered((white + pial) / 2, mean, hemi)
    return Hemisphere(white, pial, faces, unit, registered, thickness >= _THINNEST_MM)


def _neighbours(faces: np.ndarray, count: int) -> sparse.csr_array:
    """Return the matrix (N, N) that takes values of vertices to the mean of their neighbours."""
    i, j = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    linked = sparse.csr_array((np.ones(len(i)), (i, j)), shape=(count, count))
    linked = ((linked + linked.T) > 0).astype(float)
    return sparse.diags_array(1 / linked.sum(axis=1)) @ linked


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the outward direction (N, 3) at each vertex."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    of_face = np.cross(b - a, c - a)
    found = np.stack(
        [
            sum(np.bincount(corner, values, minlength=len(vertices)) for corner in faces.T)
            for values in of_face.T
        ],
        axis=1,
    )
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _at(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read a volume at points (N, 3), linear between voxels, as (N,)."""
    index = affines.apply(np.linalg.inv(affine), points).T.astype(np.float32)
    return ndimage.map_coordinates(volume, index, order=1, mode="nearest")


def _cerebrum(shape: tuple[int, int, int], affine: np.ndarray, side: int) -> np.ndarray:
    """Return one half (x, y, z) of the cerebrum; planes leave out cerebellum and brain stem."""
    # The axes of the template are those of the world.
    x, y, z = (affine[k, k] * i + affine[k, 3] for k, i in enumerate(np.ogrid[*map(slice, shape)]))
    x = x * side
    cerebellum = (y < -22) & (z < -16 - 0.2 * (y + 40))
    stem = (x < 16) & (y > -40) & (y < -5) & (z < -2)
    return (x > 1) & ~cerebellum & ~stem


def _inside_of_cortex(white: np.ndarray, brain: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return white matter with what it encloses, in one piece."""
    white = white & own
    deep = ndimage.distance_transform_edt(brain) > _DEEP_MM
    coarse = np.pad(white[::2, ::2, ::2], 5)  # 2 mm do for what is filled
    closed = ndimage.binary_closing(coarse, iterations=4)[5:-5, 5:-5, 5:-5]
    for axis, n in enumerate(white.shape):
        closed = closed.repeat(2, axis=axis).take(range(n), axis=axis)
    filled = ndimage.binary_fill_holes(white | (closed & deep & own))
    pieces, _ = ndimage.label(filled)
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])


def _shrunk(
    unit: np.ndarray,
    faces: np.ndarray,
    mean: sparse.csr_array,
    inner: np.ndarray,
    affine: np.ndarray,
    centre: np.ndarray,
) -> np.ndarray:
    """Shrink a sphere about a centre onto the rim of a volume, from smooth to folded."""
    smooth = [ndimage.gaussian_filter(inner.astype(np.float32), sigma) for sigma in _SIGMAS_MM]
    # In shares of an ellipsoid, whose vertices are spread more evenly than those of a sphere.
    radius = np.arange(0.0, 1.6, 0.02)
    along = centre + radius[None, :, None] * (unit * _HALF_AXES_MM)[:, None]
    inside = _at(smooth[0], affine, along.reshape(-1, 3)).reshape(along.shape[:2]) > 0.5
    farthest = radius[inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)]
    for _ in range(10):
        farthest = (farthest + mean @ farthest) / 2
    vertices = centre + farthest[:, None] * unit * _HALF_AXES_MM
    for volume, damping in zip(smooth, _DAMPING, strict=True):
        for _ in range(_ROUNDS):
            normal = _normals(vertices, faces)
            step = 0.4 * np.clip(4 * (_at(volume, affine, vertices) - 0.5), -1, 1)
            to_mean = mean @ vertices - vertices
            bend = (to_mean * normal).sum(axis=1, keepdims=True) * normal
            vertices = vertices + step[:, None] * normal + 0.3 * (to_mean - bend) + damping * bend
    return vertices


def _thickness(
    white: np.ndarray,
    faces: np.ndarray,
    mean: sparse.csr_array,
    inner: np.ndarray,
    grey: np.ndarray,
    affine: np.ndarray,
) -> np.ndarray:
    """Return how far grey matter reaches from each vertex, mm.

    Where the banks of a sulcus touch, the distance from the white matter falls again: the cortex
    ends in the middle.
    """
    away = ndimage.distance_transform_edt(~inner).astype(np.float32)
    grey = grey.astype(np.float32)
    normal = _normals(white, faces)
    open_, found, last = np.ones(len(white), bool), np.zeros(len(white)), _at(away, affine, white)
    for step in np.arange(_STEP_MM, _THICKEST_MM + 1e-6, _STEP_MM):
        place = white + step * normal
        distance = _at(away, affine, place)
        rises = (distance - last > _STEP_MM / 3) | (step < 1)
        open_ &= rises & (_at(grey, affine, place) >= 0.5)
        found[open_], last = step, distance
    for _ in range(3):
        found = (found + mean @ found) / 2
    return found


def _registered(middle: np.ndarray, mean: sparse.csr_array, hemi: str) -> np.ndarray:
    """Return where fsaverage has the places (N, 3) on its sphere, smooth over neighbours."""
    from nilearn import datasets, surface

    average = datasets.fetch_surf_fsaverage("fsaverage5")
    side = {"lh": "left", "rh": "right"}[hemi]
    white, pial, sphere = (
        surface.load_surf_mesh(average[f"{name}_{side}"]).coordinates
        for name in ("white", "pial", "sphere")
    )
    nearest = cKDTree((white + pial) / 2).query(middle, k=4)[1]
    found = sphere[nearest].mean(axis=1)
    for _ in range(20):
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        found = (found + mean @ found) / 2
    return found / np.linalg.norm(found, axis=1, keepdims=True)
