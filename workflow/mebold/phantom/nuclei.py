"""Deep grey matter of the simulated head: thalamus and basal ganglia as ellipsoids in MNI space.

Probability maps of a template call half of the thalamus white, because it is bright in a T1w image.
In this head it is grey, and bright because its T1 is short.
"""

import numpy as np

from mebold.geometry import affines

# Right side: centre and half axes in mm, turn in the axial plane in degrees (the front to the
# midline). Centres and extents as stereotaxic atlases have them.
_SHAPES = {
    "thalamus": (((11.5, -18.0, 8.0), (8.5, 15.0, 9.0), 28.0),),
    "putamen": (((26.0, 3.0, 1.0), (5.5, 15.5, 10.5), 14.0),),
    "pallidum": (((19.0, -2.5, -1.0), (3.5, 8.5, 6.0), 22.0),),
    "caudate": (
        ((12.5, 13.0, 5.0), (5.0, 9.0, 9.0), 10.0),
        ((14.0, -2.0, 19.0), (3.5, 13.0, 4.5), 16.0),
    ),
}
NAMES = tuple(_SHAPES)
_EDGE_MM = 1.0


def fractions(shape: tuple[int, ...], affine: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each nucleus fills of the voxels of a grid.

    Parameters
    ----------
    shape : tuple of int
    affine : (4, 4) array
        Voxel to MNI152 world, mm.

    Returns
    -------
    dict of (x, y, z) float32 arrays
        0 to 1; together at most 1.
    """
    points = affines.grid_points(shape, affine)
    points[:, 0] = np.abs(points[:, 0])
    near = np.flatnonzero(np.all((points > (0, -45, -20)) & (points < (45, 45, 40)), axis=1))
    left = np.ones(len(near))
    found = {}
    for name, parts in _SHAPES.items():
        share = np.zeros(len(near))
        for centre, half_axes, turn_deg in parts:
            turn = np.deg2rad(turn_deg)
            turned = affines.rigid_matrix([0, 0, 0, 0, 0, turn], np.zeros(3))[:3, :3]
            radius = np.linalg.norm((points[near] - centre) @ turned / half_axes, axis=1)
            depth_mm = (1 - radius) * min(half_axes)
            share = np.maximum(share, np.clip(0.5 + depth_mm / _EDGE_MM, 0, 1))
        share = np.minimum(share, left)
        left -= share
        found[name] = np.zeros(len(points), dtype=np.float32)
        found[name][near] = share
    return {name: values.reshape(shape) for name, values in found.items()}
