"""An analytic head and the orientations in which the geometry tests sample it."""

import numpy as np
from scipy.spatial.transform import Rotation

_RNG = np.random.default_rng(7)
_CENTRES = _RNG.uniform(-45, 45, (90, 3))
_HEIGHTS = _RNG.uniform(0.3, 1.0, 90)
_WIDTHS = _RNG.uniform(6.0, 11.0, 90)
_AXES_MM = np.array([50.0, 58.0, 46.0])


def head(points):
    """Return the intensity of a textured ellipsoid at world points (V, 3)."""
    texture = np.zeros(len(points))
    for centre, height, width in zip(_CENTRES, _HEIGHTS, _WIDTHS, strict=True):
        texture += height * np.exp(-((points - centre) ** 2).sum(axis=1) / (2 * width**2))
    radius = np.linalg.norm(points / _AXES_MM, axis=1)
    return 1000.0 * (0.3 + texture) / (1.0 + np.exp(20.0 * (radius - 1.0)))


def grid(codes, shape, sizes, turn_degrees=(0.0, 0.0, 0.0)):
    """Return a voxel-to-world affine centred on the head, with voxel axes along codes."""
    rows = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis, code in enumerate(codes):
        row, sign = rows[code]
        affine[row, axis] = sign * sizes[axis]
    turn = Rotation.from_euler("xyz", turn_degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


#: name -> (shape, affine): the same field of view, stored in different ways.
ORIENTATIONS = {
    "RAS": ((34, 38, 30), grid("RAS", (34, 38, 30), (4, 4, 4))),
    "LAS": ((34, 38, 30), grid("LAS", (34, 38, 30), (4, 4, 4))),
    "LPS": ((34, 38, 30), grid("LPS", (34, 38, 30), (4, 4, 4))),
    "permuted": ((38, 30, 34), grid("ASR", (38, 30, 34), (4, 4, 4))),
    "oblique": ((34, 38, 30), grid("RAS", (34, 38, 30), (4, 4, 4), (-10.4, 1.1, 6.0))),
    "anisotropic": ((45, 50, 24), grid("LPS", (45, 50, 24), (3, 3, 5), (12.0, 0.0, 0.0))),
}
