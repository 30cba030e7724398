"""Between cortical surfaces and the volume: regions into voxels, maps onto vertices.

Places are in the world of the T1w (scanner RAS, mm). FreeSurfer stores its vertices in RAS about
the centre of its own volume, see `tkr_to_scanner`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from mebold.errors import DataError
from mebold.geometry import affines

_STEP = 0.125  # of a voxel: distance of the points that fill a region
_CHUNK = 2_000_000  # points at a time
_NEAREST = 4  # triangles around so many of the nearest vertices are tried
_LEAST_SHARE = 0.5  # of the weight of a sample that has to lie in voxels with data


def tkr_to_scanner(geometry: dict) -> np.ndarray:
    """Return the matrix from FreeSurfer's surface coordinates to scanner RAS.

    Parameters
    ----------
    geometry : dict
        Of the volume that the surface was made from, as nibabel reads it from the end of the file:
        ``volume`` (dimensions), ``voxelsize`` (mm), ``xras``, ``yras``, ``zras`` (directions of
        its axes) and ``cras`` (world of its centre, mm).

    Returns
    -------
    (4, 4) array
        A shift by ``cras`` for FreeSurfer's usual volume; a rotation as well where the axes of the
        volume are oblique.
    """
    size = np.asarray(geometry["voxelsize"], float)
    half = np.asarray(geometry["volume"], float) * size / 2
    scanner, own = np.eye(4), np.eye(4)
    axes = np.stack([np.asarray(geometry[key], float) for key in ("xras", "yras", "zras")], axis=1)
    scanner[:3, :3] = axes * size
    scanner[:3, 3] = np.asarray(geometry["cras"], float) - axes @ half
    own[:3, :3] = np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]], float) * size
    own[:3, 3] = [half[0], -half[2], half[1]]
    return scanner @ np.linalg.inv(own)


def share_inside(
    white: np.ndarray, pial: np.ndarray, mask: np.ndarray, affine: np.ndarray
) -> float:
    """Return the share of the vertices whose middle of the cortex lies in a mask.

    Parameters
    ----------
    white, pial : (N, 3) array
        World mm.
    mask : (x, y, z) bool array
    affine : (4, 4) array
        Its voxel to world.
    """
    voxels = affines.apply(np.linalg.inv(affine), (white + pial) / 2).T
    inside = ndimage.map_coordinates(np.asarray(mask, np.uint8), voxels, order=0, cval=0)
    return float(np.mean(inside > 0))


def sample(
    volume: np.ndarray,
    affine: np.ndarray,
    white: np.ndarray,
    pial: np.ndarray,
    *,
    depths: Sequence[float],
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Read a map between white and pial surface: the mean over depths at each vertex.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, mm.
    white, pial : (N, 3) array
        World mm; vertex i of both is one place of the cortex.
    depths : sequence of float
        0 is white, 1 is pial.
    known : (x, y, z) bool array, optional
        Voxels with data; those that are finite unless given.

    Returns
    -------
    (N,) float32 array
        Linear interpolation between voxels with data alone; NaN where less than half of what is
        read has any.
    """
    there = np.isfinite(volume) if known is None else np.asarray(known) & np.isfinite(volume)
    values = np.where(there, volume, 0).astype(np.float32)
    to_voxel = np.linalg.inv(affine)
    total, weight = np.zeros(len(white)), np.zeros(len(white))
    for depth in depths:
        voxels = affines.apply(to_voxel, (1 - depth) * white + depth * pial).T
        total += ndimage.map_coordinates(values, voxels, order=1, output=np.float64)
        weight += ndimage.map_coordinates(
            there.astype(np.float32), voxels, order=1, output=np.float64
        )
    enough = weight >= _LEAST_SHARE * len(depths)
    return np.where(enough, total / np.where(enough, weight, 1), np.nan).astype(np.float32)


def fill(
    member: np.ndarray,
    faces: np.ndarray,
    white: np.ndarray,
    pial: np.ndarray,
    *,
    shape: tuple[int, int, int],
    affine: np.ndarray,
) -> np.ndarray:
    """Return which share of each voxel a region of the cortex fills, between white and pial.

    A triangle belongs to the region with two of its vertices; between the surfaces it is a prism,
    whose volume is counted in the voxels in which it lies, at points an eighth of a voxel apart.

    Parameters
    ----------
    member : (N,) bool array
        Vertices of the region.
    faces : (F, 3) int array
    white, pial : (N, 3) array
        World mm.
    shape, affine
        Grid of the voxels, and their voxel to world.

    Returns
    -------
    (x, y, z) float32 array
        0 to 1.
    """
    chosen = faces[np.asarray(member, bool)[faces].sum(axis=1) >= 2]
    filled = np.zeros(int(np.prod(shape)))
    if not len(chosen):
        return filled.reshape(shape).astype(np.float32)
    size = affines.voxel_sizes(affine)
    step = _STEP * float(size.min())
    a, b = white[chosen], pial[chosen]  # (F, 3 corners, 3)
    edges = np.stack([np.linalg.norm(s - np.roll(s, 1, axis=1), axis=2) for s in (a, b)])
    across = _parts(edges.max(axis=(0, 2)) / step)
    deep = _parts(np.linalg.norm(b - a, axis=2).max(axis=1) / step)
    to_voxel = np.linalg.inv(affine)
    # Each prism as finely as it needs: one long edge would cost all others the same.
    for n_across, n_deep in np.unique(np.stack([across, deep], axis=1), axis=0):
        own = np.flatnonzero((across == n_across) & (deep == n_deep))
        places = _centroids(n_across)
        at_once = max(1, _CHUNK // (len(places) * n_deep))
        for first in range(0, len(own), at_once):
            some = own[first : first + at_once]
            points, volume = _prisms(a[some], b[some], places, n_deep)
            voxels = np.rint(affines.apply(to_voxel, points)).astype(int)
            inside = np.all((voxels >= 0) & (voxels < np.array(shape)), axis=1)
            flat = np.ravel_multi_index(tuple(voxels[inside].T), shape)
            filled += np.bincount(flat, volume[inside], minlength=filled.size)
    share = filled / float(np.abs(np.linalg.det(np.asarray(affine)[:3, :3])))
    return np.minimum(share, 1).reshape(shape).astype(np.float32)


def _parts(needed: np.ndarray) -> np.ndarray:
    """Return into how many parts to cut: as many as needed, or up to a third more."""
    steps = np.unique(np.ceil(1.3 ** np.arange(40)).astype(int))
    return steps[np.searchsorted(steps, np.clip(needed, 1, steps[-1]))]


def _prisms(
    white: np.ndarray, pial: np.ndarray, places: np.ndarray, n_deep: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (M, 3) in prisms between triangles (F, 3 corners, 3), mm, and the mm3 of each.

    Points lie at barycentric coordinates `places` (K, 3) of each of `n_deep` layers.
    """
    depth = (np.arange(n_deep) + 0.5)[:, None, None, None] / n_deep
    corners = (1 - depth) * white + depth * pial  # (D, F, 3, 3)
    points = np.einsum("kc,dfcx->dfkx", places, corners)
    normal = np.cross(
        corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    )
    thickness = np.einsum("kc,fcx->fkx", places, pial - white)
    volume = np.abs(np.einsum("dfx,fkx->dfk", normal, thickness)) / 2
    return points.reshape(-1, 3), volume.ravel() / (len(places) * n_deep)


def _centroids(n: int) -> np.ndarray:
    """Return barycentric coordinates (n * n, 3) of the centres of the parts of a triangle."""
    found = []
    for i in range(n):
        for j in range(n - i):
            found.append((i + 1 / 3, j + 1 / 3))
            if i + j < n - 1:
                found.append((i + 2 / 3, j + 2 / 3))
    corner = np.array(found) / n
    return np.column_stack([corner, 1 - corner.sum(axis=1)])


def between_spheres(
    values: np.ndarray, sphere: np.ndarray, faces: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Take values from one sphere to the vertices of another, as registered surfaces are compared.

    Parameters
    ----------
    values : (N,) array
        NaN where nothing is known.
    sphere : (N, 3) array
        Where the vertices of the subject lie on the sphere, registered to that of `target`.
    faces : (F, 3) int array
        Of the subject.
    target : (M, 3) array
        Vertices of the other sphere.

    Returns
    -------
    (M,) float32 array
        Linear within the triangle in which a vertex lies, the nearest vertex where none is found;
        NaN where most of it is not known.

    Raises
    ------
    DataError
        When values and sphere do not have the same vertices.
    """
    if len(values) != len(sphere):
        raise DataError(f"{len(values)} values do not fit a sphere of {len(sphere)} vertices")
    source = sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    wanted = target / np.linalg.norm(target, axis=1, keepdims=True)
    nearest = cKDTree(source).query(wanted, k=min(_NEAREST, len(source)))[1]
    nearest = nearest.reshape(len(wanted), -1)
    order = np.argsort(faces.ravel(), kind="stable")
    starts = np.searchsorted(faces.ravel()[order], np.arange(len(source) + 1))
    most = int(np.diff(starts).max())
    index, weights = nearest[:, :1].repeat(3, axis=1), np.tile([1.0, 0, 0], (len(wanted), 1))
    found = np.zeros(len(wanted), bool)
    for rank in range(nearest.shape[1]):
        for turn in range(most):
            place = starts[nearest[:, rank]] + turn
            open_ = ~found & (place < starts[nearest[:, rank] + 1])
            if not open_.any():
                continue
            face = faces[order[place[open_]] // 3]
            solved = _barycentric(source[face], wanted[open_])
            hit = np.flatnonzero(open_)[(solved >= -1e-6).all(axis=1)]
            good = (solved >= -1e-6).all(axis=1)
            index[hit], weights[hit], found[hit] = face[good], solved[good], True
    read = np.asarray(values, float)[index]
    known = np.isfinite(read) * weights
    total = known.sum(axis=1)
    enough = total >= _LEAST_SHARE
    summed = (np.nan_to_num(read) * known).sum(axis=1)
    return np.where(enough, summed / np.where(enough, total, 1), np.nan).astype(np.float32)


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return weights (P, 3) with which directions are made of the corners (P, 3, 3) of triangles.

    Negative where a direction misses its triangle, or meets it on the other side of the sphere.
    """
    columns = np.swapaxes(corners, 1, 2)
    flat = np.abs(np.linalg.det(columns)) < 1e-12
    columns = np.where(flat[:, None, None], np.eye(3), columns)
    solved = np.linalg.solve(columns, points[:, :, None])[:, :, 0]
    total = solved.sum(axis=1, keepdims=True)
    solved = solved / np.where(np.abs(total) > 1e-12, total, 1)
    solved[flat | (total[:, 0] <= 0)] = -1
    return solved
