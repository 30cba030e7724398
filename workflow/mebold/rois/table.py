"""Tables of map values in regions, and the list that names the regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError

#: Columns of `roi_table` before those of the thresholds (``share_above_<percent>``).
TABLE_COLUMNS = [
    "roi", "category", "map", "variant", "n_voxels", "n_data", "median", "mean", "p90",
    "share_significant", "unit",
]  # fmt: skip


def parse_labels(text: str | float) -> list[int]:
    """Read the ``labels`` cell of the ROI list: whole numbers separated by commas.

    Parameters
    ----------
    text : str or number
        Such as ``"1,2,101"``; ``n/a``, empty or NaN means none.

    Returns
    -------
    list of int

    Raises
    ------
    ConfigError
        When a part is not a whole number.
    """
    if text is None or (isinstance(text, float) and np.isnan(text)) or str(text) in ("", "n/a"):
        return []
    try:
        return [int(float(p)) if p.strip().endswith(".0") else int(p) for p in str(text).split(",")]
    except ValueError:
        raise ConfigError(
            f"labels {text!r} in the ROI list; expected whole numbers with commas, such as 1,2"
        ) from None


def check_list(rois: pd.DataFrame) -> None:
    """Check what a schema cannot: unique names per subject, labels just where an atlas is named.

    Parameters
    ----------
    rois : DataFrame
        The ROI list, columns as in ``schemas/rois.schema.yaml``.

    Raises
    ------
    ConfigError
        Naming the ROI and the fix.
    """
    key = ["name", "subject"] if "subject" in rois else ["name"]
    repeated = rois["name"][rois.duplicated(key)].tolist()
    if repeated:
        raise ConfigError(f"ROI list: name {repeated[0]!r} stands in more than one row")
    for row in rois.to_dict("records"):
        labels = parse_labels(row.get("labels", "n/a"))
        source = row.get("source", "mask")
        if source == "atlas" and not labels:
            raise ConfigError(f"ROI list: {row['name']} comes from an atlas but names no labels")
        if source != "atlas" and labels:
            raise ConfigError(
                f"ROI list: {row['name']} has labels {labels} but its source is "
                f"{source!r}; labels need source 'atlas'"
            )


def roi_table(
    maps: np.ndarray | Mapping[str, np.ndarray],
    rois: Mapping[str, np.ndarray],
    *,
    categories: Mapping[str, str] | None = None,
    variant: str = "n/a",
    unit: str = "percent",
    n_voxels: Mapping[str, int] | None = None,
    thresholds: Sequence[float] = (),
    significant: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Summarise maps in ROIs.

    Parameters
    ----------
    maps : ndarray (V,), or mapping of str to ndarray (V,)
        One map, or map name -> map (``Noiseceiling``, ``Noiseceiling4rep`` ...).
    rois : mapping of str to ndarray (V,), bool
        ROI name -> membership of the same voxels.
    categories : mapping of str to str, optional
        ROI name -> category.
    variant : str
        Variant whose maps these are.
    unit : str
        Unit of the maps.
    n_voxels : mapping of str to int, optional
        ROI name -> its voxels on the whole grid; those of `rois` unless given.
    thresholds : sequence of float
        In the unit of the maps.
    significant : mapping of str to ndarray (V,), bool, optional
        Map name -> voxels above chance.

    Returns
    -------
    DataFrame
        Columns `TABLE_COLUMNS` and one ``share_above_<threshold>`` for each threshold. Of
        `n_voxels` those count as `n_data` that are finite in the map; all other columns are of
        these, shares from 0 to 1, and not known where there are none.

    Raises
    ------
    DataError
        When an ROI and a map have different numbers of voxels.
    """
    if not isinstance(maps, Mapping):
        maps = {"Noiseceiling": maps}
    rows = []
    for roi, member in rois.items():
        member = np.asarray(member, bool)
        whole = (n_voxels or {}).get(roi, np.count_nonzero(member))
        row = {"roi": roi, "category": (categories or {}).get(roi, "n/a")}
        for name, values in maps.items():
            if np.shape(values) != member.shape:
                raise DataError(
                    f"ROI {roi} has {member.shape} entries, map {name} {np.shape(values)}"
                )
            inside = member & np.isfinite(values)
            known = np.asarray(values, float)[inside]
            row |= {"map": name, "variant": variant, "unit": unit}
            row |= {"n_voxels": int(whole), "n_data": known.size}
            above = (significant or {}).get(name)
            measures = {"median": np.median, "mean": np.mean, "p90": _percentile90}
            found = {key: measure(known) for key, measure in measures.items() if known.size}
            if above is not None and known.size:
                found["share_significant"] = np.mean(np.asarray(above)[inside] > 0)
            if known.size:
                found |= {share_above(limit): np.mean(known > limit) for limit in thresholds}
            rows.append({**row, **found})
    return pd.DataFrame(rows, columns=[*TABLE_COLUMNS, *map(share_above, thresholds)])


def share_above(threshold: float) -> str:
    """Return the name of the column with the share of voxels above a threshold."""
    return f"share_above_{threshold:g}"


def _percentile90(values: np.ndarray) -> float:
    return np.percentile(values, 90)


def entries(table: pd.DataFrame | None, *, subject: str) -> list[dict]:
    """Return the rows of the ROI list that hold for a subject.

    Parameters
    ----------
    table : DataFrame or None
        The ROI list; none without.
    subject : str
        With the ``sub-`` prefix; it replaces ``{subject}`` in paths.
    """
    if table is None:
        return []
    check_list(table)
    label = subject.removeprefix("sub-")
    found = []
    for row in table.to_dict("records"):
        owner = str(row.get("subject", "n/a")).removeprefix("sub-")
        if owner in ("n/a", "nan", label):
            found.append({**row, "path": str(row["path"]).replace("{subject}", label)})
    return found
