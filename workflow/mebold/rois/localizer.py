"""Regions of a localizer: where a contrast is above a threshold, within a parcel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.errors import ConfigError, GridMismatchError

#: Voxels that share a face, an edge or a corner are neighbours, as in SPM's and AFNI's widest rule.
_NEIGHBOURS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class Functional:
    """How a region is found in the map of a contrast.

    Attributes
    ----------
    threshold : float
        In the unit of the map (z); voxels above it may belong to the region.
    parcel : (x, y, z) bool array or None
        Where it is looked for; everywhere unless given.
    least_voxels : int
        A smaller region is none.
    largest_cluster : bool
        Keep the largest group of neighbouring voxels alone (26 neighbours).
    exclusive : str or None
        Regions of one set share no voxel: it goes to the one whose map is highest there.
    """

    threshold: float
    parcel: np.ndarray | None = None
    least_voxels: int = 1
    largest_cluster: bool = True
    exclusive: str | None = None


def regions(
    maps: Mapping[str, np.ndarray], wanted: Mapping[str, Functional]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Find regions in the maps of their contrasts.

    Parameters
    ----------
    maps : mapping of str to (x, y, z) array
        Region to the map of its contrast, z for instance; NaN where nothing is known.
    wanted : mapping of str to Functional

    Returns
    -------
    found : dict of str to (x, y, z) bool array
    without : dict of str to str
        Region that a subject does not have, and why.

    Raises
    ------
    ConfigError
        For a threshold that is not above 0: maps would be filled where nothing responds.
    GridMismatchError
        When maps and parcels differ in shape.
    """
    above = {}
    for name, one in wanted.items():
        if not one.threshold > 0:
            raise ConfigError(f"region {name}: threshold {one.threshold} is not above 0")
        values = np.nan_to_num(np.asarray(maps[name], float), nan=-np.inf)
        above[name] = values > one.threshold
        if one.parcel is not None:
            if one.parcel.shape != values.shape:
                raise GridMismatchError(
                    f"region {name}: its map has {values.shape} voxels, its parcel "
                    f"{one.parcel.shape}"
                )
            above[name] &= one.parcel
    found, without = {}, {}
    for name, one in wanted.items():
        mask = above[name] & ~_taken(name, maps, wanted, above)
        if one.largest_cluster and mask.any():
            mask = _largest(mask)
        count = int(mask.sum())
        if count < max(one.least_voxels, 1):
            highest = _highest(maps[name], one.parcel)
            without[name] = (
                f"{count} voxels above {one.threshold:g} (highest value {highest:.2f}), fewer than "
                f"{max(one.least_voxels, 1)}"
            )
        else:
            found[name] = mask
    return found, without


def selectivity(
    halves: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    wanted: Mapping[str, Functional],
) -> dict[str, tuple[float, str]]:
    """Measure the contrast of regions in data that they were not chosen by.

    In a region and the data that it was found in a contrast is too high, because noise was chosen
    with the response. So it is found in one half of the runs and measured in the other.

    Parameters
    ----------
    halves : sequence of two pairs of mappings
        Of each half of the runs: region to the map that it is found in (z), and region to the
        effect of its contrast (percent). A region that one half lacks has no selectivity.
    wanted : mapping of str to Functional

    Returns
    -------
    dict of str to tuple
        Mean effect over the region, percent, the mean of both directions; NaN where neither half
        has the region. With it a note on what is lacking, else empty.
    """
    there = [set(z) & set(effects) for z, effects in halves]
    measured: dict[str, list[float]] = {name: [] for name in wanted}
    for first, second in ((0, 1), (1, 0)):
        if not halves:
            break
        own = {name: one for name, one in wanted.items() if name in there[first]}
        found, _ = regions({name: halves[first][0][name] for name in own}, own)
        for name, mask in found.items():
            values = halves[second][1].get(name)
            values = np.array([]) if values is None else values[mask]
            values = values[np.isfinite(values)]
            if values.size:
                measured[name].append(float(values.mean()))
    notes = {2: "", 1: "selectivity: found in one half of the runs alone"}
    result = {}
    for name, values in measured.items():
        both = all(name in half for half in there) and bool(there)
        why = "found in neither half of the runs" if both else "one run, nothing to measure it in"
        note = notes.get(len(values), f"no selectivity: {why}")
        result[name] = (float(np.mean(values)) if values else float("nan"), note)
    return result


def _taken(
    name: str, maps: Mapping, wanted: Mapping[str, Functional], above: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the voxels that another region of the set has a higher value in; the first of ties."""
    taken = np.zeros(above[name].shape, bool)
    order = list(wanted)
    for other, one in wanted.items():
        if other == name or one.exclusive is None or one.exclusive != wanted[name].exclusive:
            continue
        with np.errstate(invalid="ignore"):
            higher = np.asarray(maps[other]) > np.asarray(maps[name])
            if order.index(other) < order.index(name):
                higher |= np.asarray(maps[other]) == np.asarray(maps[name])
        taken |= above[other] & higher
    return taken


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure=_NEIGHBOURS)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _highest(values: np.ndarray, parcel: np.ndarray | None) -> float:
    inside = np.asarray(values, float)[slice(None) if parcel is None else parcel]
    inside = inside[np.isfinite(inside)]
    return float(inside.max()) if inside.size else float("nan")
