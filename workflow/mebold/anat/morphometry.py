"""What an alignment with a template says of volumes: Jacobian determinant, modulated tissue."""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, interpolation

_FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))


def jacobian(displacement_mm: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return how much larger the tissue of every voxel is in the space that a field leads to.

    Parameters
    ----------
    displacement_mm : (x, y, z, 3) array
        At points of the grid: leads to the point of the other space, mm, RAS+.
    affine : (4, 4) array
        Voxel to world of the grid, mm.

    Returns
    -------
    (x, y, z) float32 array
        Determinant of the derivative of ``x + u(x)``: volume there over volume here. 1 where the
        field only moves and turns; 0 or less where it folds.
    """
    along = np.asarray(affine, dtype=np.float64)[:3, :3]
    edge_order = 2 if min(displacement_mm.shape[:3]) > 2 else 1
    parts = np.gradient(
        np.asarray(displacement_mm, dtype=np.float32), axis=(0, 1, 2), edge_order=edge_order
    )
    # Columns: where a step of one voxel along each axis leads.
    columns = [part + along[:, axis].astype(np.float32) for axis, part in enumerate(parts)]
    crossed = np.cross(columns[1], columns[2])
    return (np.sum(columns[0] * crossed, axis=-1) / np.linalg.det(along)).astype(np.float32)


def modulated(
    probability: np.ndarray,
    probability_affine: np.ndarray,
    displacement_mm: np.ndarray,
    affine: np.ndarray,
    *,
    fwhm_mm: float,
) -> np.ndarray:
    """Bring a tissue to a template so that its volume stays what it was.

    Parameters
    ----------
    probability : (x', y', z') array
        Share of the tissue in the voxels of the T1w.
    probability_affine : (4, 4) array
    displacement_mm, affine
        The way from points of the template to the T1w; see `jacobian`.
    fwhm_mm : float
        Gaussian smoothing afterwards; 0 for none.

    Returns
    -------
    (x, y, z) float32 array
        Volume of the tissue per volume of the template: its sum times the volume of a voxel is that
        of the tissue in the subject.

    References
    ----------
    Good et al. 2001, NeuroImage 14:21 (voxel-based morphometry with modulation).
    """
    shape = displacement_mm.shape[:3]
    points = affines.grid_points(shape, affine) + displacement_mm.reshape(-1, 3)
    found = interpolation.resample_volume(probability, probability_affine, points, order=1)
    density = found.reshape(shape) * np.maximum(jacobian(displacement_mm, affine), 0.0)
    if fwhm_mm > 0:
        sigma = fwhm_mm * _FWHM_TO_SIGMA / affines.voxel_sizes(affine)
        density = ndimage.gaussian_filter(density, sigma, mode="constant")
    return density.astype(np.float32)


def linear_part(displacement_mm: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the affine map (4, 4) that is nearest to a field over the voxels of a mask."""
    points = affines.grid_points(mask.shape, affine, mask)
    there = points + displacement_mm[mask]
    known = np.column_stack([points, np.ones(len(points))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(known, there, rcond=None)[0].T
    return matrix


def volume_ml(values: np.ndarray, affine: np.ndarray) -> float:
    """Return the sum of a map times the volume of a voxel, ml."""
    return float(values.sum(dtype=np.float64) * abs(np.linalg.det(affine[:3, :3])) / 1000.0)
