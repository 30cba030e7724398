"""Given regions: masks, label images and probabilistic maps, put onto the grid of the output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mebold.errors import DataError
from mebold.geometry import affines, interpolation
from mebold.rois.masks import masks_from_labels

_NO_NAME = re.compile(r"[^A-Za-z0-9]")
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Placed:
    """A region on the output grid.

    Attributes
    ----------
    mask : (x, y, z) bool array
    inside : float
        Share of the region's volume that lies in the brain of the output grid, 0 to 1.
    note : str
        What was done to it; empty where it lay on the grid already.
    """

    mask: np.ndarray
    inside: float
    note: str


def lookup(table: pd.DataFrame, *, name: str) -> dict[str, list[int]]:
    """Return the regions of a lookup table of BIDS (columns ``index`` and ``name``).

    Parameters
    ----------
    table : DataFrame
        A row per label; rows of one name are joined. 0 is background and left out.
    name : str
        File, for the message.

    Returns
    -------
    dict of str to list of int
        Name, of letters and digits alone as file names have it, to its labels.

    Raises
    ------
    DataError
        When a column is missing or a label is no whole number.
    """
    columns = {str(column).lower(): column for column in table.columns}
    if not {"index", "name"} <= set(columns):
        raise DataError(
            f"{name} has the columns {', '.join(map(str, table.columns))}; a lookup table needs "
            "`index` (label in the image) and `name`, as in BIDS"
        )
    found: dict[str, list[int]] = {}
    for row in table.to_dict("records"):
        try:
            label = int(row[columns["index"]])
            whole = float(row[columns["index"]]) == label
        except (TypeError, ValueError):
            whole, label = False, 0
        if not whole:
            raise DataError(f"{name}: index {row[columns['index']]!r} is no whole number")
        text = _NO_NAME.sub("", str(row[columns["name"]]))
        if label and text:
            found.setdefault(text, []).append(label)
    if not found:
        raise DataError(f"{name} names no label")
    return found


def cut(
    volume: np.ndarray,
    *,
    name: str,
    region: str,
    labels: Mapping[str, list[int]] | None = None,
    threshold: float | None = None,
) -> dict[str, np.ndarray]:
    """Cut the regions out of an image.

    Parameters
    ----------
    volume : (x, y, z) array
    name : str
        File, for messages.
    region : str
        Name of the region of an image that holds one.
    labels : mapping of str to list of int, optional
        Regions of a label image. Those without any voxel are left out: tables list all labels that
        there may be.
    threshold : float, optional
        Of a probabilistic map, in its unit; returned are values, with 0 for what is not finite.

    Returns
    -------
    dict of str to (x, y, z) array
        Bool, or float32 of a probabilistic map.

    Raises
    ------
    DataError
        When no region has a voxel, or the image is of another kind than asked for.
    """
    values = np.nan_to_num(np.asarray(volume, np.float32))
    if labels is not None:
        present = set(np.unique(np.rint(values)).astype(int).tolist())
        there = {n: [v for v in vs if v in present] for n, vs in labels.items()}
        there = {n: vs for n, vs in there.items() if vs}
        if not there:
            shown = ", ".join(map(str, sorted(present - {0})[:_MOST_SHOWN])) or "no label"
            raise DataError(f"{name} holds none of the labels of its lookup table, but {shown}")
        return masks_from_labels(values, there, name=name)
    if threshold is not None:
        if not (values > threshold).any():
            raise DataError(
                f"region {region} is empty: {name} has no voxel above the threshold of "
                f"{threshold:g} (largest value {values.max(initial=0):.3g})"
            )
        return {region: values}
    kinds = np.unique(values[values != 0])
    if not kinds.size:
        raise DataError(f"region {region} is empty: {name} has no voxel that is not 0")
    if kinds.size > 1:
        shown = ", ".join(f"{v:g}" for v in kinds[:_MOST_SHOWN])
        whole = np.array_equal(kinds, np.rint(kinds))
        fix = "`lookup`, a table of its labels" if whole else "`threshold`, for a map of fractions"
        raise DataError(
            f"{name} is no mask: it holds {shown}{' ...' * (kinds.size > _MOST_SHOWN)} beside 0; "
            f"give {fix} in its entry of `rois`"
        )
    return {region: values != 0}


def place(
    source: np.ndarray,
    affine: np.ndarray,
    *,
    shape: tuple[int, int, int],
    grid: np.ndarray,
    brain: np.ndarray,
    points: np.ndarray | None = None,
    threshold: float = 0.5,
) -> Placed:
    """Put a region onto the output grid.

    Masks are read at the nearest voxel; probabilistic maps (floats) are interpolated linearly and
    then compared with the threshold.

    Parameters
    ----------
    source : (x, y, z) array
        Bool, or floats of a probabilistic map.
    affine : (4, 4) array
        Its voxel to world, mm.
    shape, grid
        Size and voxel to world of the output grid.
    brain : (x, y, z) bool array
        Brain on the output grid.
    points : (V, 3) array, optional
        Where the voxels of the output grid lie in the world of `source`, mm, in C order; in their
        own places unless given.
    threshold : float
        Values above it belong to the region.

    Returns
    -------
    Placed
    """
    member = np.asarray(source) > threshold
    if points is None and affines.same_grid(source.shape, affine, shape, grid):
        inside = np.count_nonzero(member & brain) / max(np.count_nonzero(member), 1)
        return Placed(member, inside, "")
    smooth = np.asarray(source).dtype.kind == "f"
    moved = points is not None
    at = affines.grid_points(shape, grid) if points is None else points
    read = interpolation.resample_volume(
        np.asarray(source, np.float32), affine, at, order=1 if smooth else 0
    )
    mask = (read > threshold).reshape(shape)
    volumes = [
        np.count_nonzero(m) * abs(np.linalg.det(np.asarray(a)[:3, :3]))
        for m, a in ((mask & brain, grid), (member, affine))
    ]
    size = " x ".join(f"{v:.3g}" for v in affines.voxel_sizes(affine))
    how = "linear interpolation and threshold" if smooth else "nearest voxel"
    note = f"resampled from voxels of {size} mm ({how})"
    note += ", through the alignment with the template" if moved else ""
    return Placed(mask, float(min(volumes[0] / max(volumes[1], 1e-9), 1)), note)


def values_at(
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    shape: tuple[int, int, int],
    grid: np.ndarray,
    points: np.ndarray | None = None,
) -> np.ndarray:
    """Read a map at the voxels of the output grid, linear between voxels that are known.

    Parameters
    ----------
    volume : (x, y, z) array
        NaN where nothing is known, as in the reference dataset's maps.
    affine, shape, grid, points
        See `place`.

    Returns
    -------
    (x, y, z) float32 array
        NaN where less than half of what is read is known, and outside of the image.
    """
    if points is None and affines.same_grid(volume.shape, affine, shape, grid):
        return np.asarray(volume, np.float32)
    at = affines.grid_points(shape, grid) if points is None else points
    known = np.isfinite(volume).astype(np.float32)
    share = interpolation.resample_volume(known, affine, at, order=1)
    total = interpolation.resample_volume(np.nan_to_num(volume), affine, at, order=1)
    enough = share > 0.5
    return np.where(enough, total / np.where(enough, share, 1), np.nan).reshape(shape)


def check_place(placed: Placed, *, region: str, name: str, least_inside: float) -> None:
    """Refuse a region that is not in this brain.

    Parameters
    ----------
    placed : Placed
    region, name : str
        Region and its file, for the message.
    least_inside : float
        Share of its volume, 0 to 1, that has to lie in the brain.

    Raises
    ------
    DataError
        When too little of it lies in the brain, as of a mask of another subject, or no voxel of
        the output grid does.
    """
    if placed.inside < least_inside:
        raise DataError(
            f"region {region}: {100 * placed.inside:.0f} % of {name} lie in the brain, at least "
            f"{100 * least_inside:.0f} % are needed (`rois.least_inside`). It may belong to "
            "another subject, or to another space than this entry of `rois` says."
        )
    if not placed.mask.any():
        raise DataError(
            f"region {region}: {name} has no voxel on the output grid: it is smaller than its "
            "voxels, or outside of it"
        )
