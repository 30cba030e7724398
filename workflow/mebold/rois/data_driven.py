"""Regions that the data choose: reliable voxels, and the best voxels of another region.

What was chosen by a map looks better in that map than it is: voxels that were lucky are chosen with
those that are good. Tables mark such regions by their category, ``data``.
"""

from __future__ import annotations

import numpy as np

from mebold.errors import ConfigError, DataError


def reliable(
    significant: np.ndarray, r2: np.ndarray | None = None, *, least_r2: float = 0.0
) -> np.ndarray:
    """Return the voxels whose noise ceiling is above chance and that the model explains.

    Parameters
    ----------
    significant : (V,) bool array
        Where the noise ceiling is above that of shifted labels.
    r2 : (V,) array, optional
        Variance explained by the fit, percent; not finite where there is no fit.
    least_r2 : float
        Percent.

    Returns
    -------
    (V,) bool array

    Raises
    ------
    DataError
        When the maps differ in length.
    """
    chosen = np.asarray(significant) > 0
    if r2 is None:
        return chosen
    if np.shape(r2) != chosen.shape:
        raise DataError(f"R2 has {np.shape(r2)} voxels, the noise ceiling {chosen.shape}")
    return chosen & (np.nan_to_num(r2, nan=-np.inf) >= least_r2)


def best(values: np.ndarray, member: np.ndarray, *, voxels: int, name: str) -> np.ndarray:
    """Return the voxels of a region with the highest values.

    Parameters
    ----------
    values : (V,) array
        What voxels are chosen by; those that are not finite are not chosen.
    member : (V,) bool array
        Region that they are chosen from.
    voxels : int
        How many; all voxels with a value where there are fewer.
    name : str
        New region, for the message.

    Returns
    -------
    (V,) bool array
        Ties are broken by the order of the voxels.

    Raises
    ------
    ConfigError
        For fewer than one voxel.
    DataError
        When no voxel of the region has a value.
    """
    if voxels < 1:
        raise ConfigError(f"region {name}: {voxels} voxels asked for; at least 1")
    candidates = np.flatnonzero(np.asarray(member, bool) & np.isfinite(values))
    if not candidates.size:
        raise DataError(f"region {name}: none of the voxels that it is chosen from has a value")
    chosen = candidates[np.argsort(-np.asarray(values)[candidates], kind="stable")[:voxels]]
    mask = np.zeros(np.shape(member), bool)
    mask[chosen] = True
    return mask
