"""What lies inside a closed mesh, by counting how often a ray leaves it."""

import numpy as np


def inside(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points (N, 3) lie inside, as (N,) bool: an odd number of triangles above them."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    corners = np.stack([a, b, c])[..., :2]
    near = (corners.max(axis=0) >= low).all(axis=1) & (corners.min(axis=0) <= high).all(axis=1)
    a, b, c = a[near], b[near], c[near]
    crossed = np.zeros(len(points), int)
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    for first in range(0, len(points), 1000):
        p = points[first : first + 1000, None]
        ap = p - a
        u = (ap[..., 0] * ac[:, 1] - ap[..., 1] * ac[:, 0]) / area
        v = (ab[:, 0] * ap[..., 1] - ab[:, 1] * ap[..., 0]) / area
        above = a[:, 2] + u * ab[:, 2] + v * ac[:, 2] > p[..., 2]
        crossed[first : first + 1000] = ((u >= 0) & (v >= 0) & (u + v <= 1) & above).sum(axis=1)
    return crossed % 2 == 1
