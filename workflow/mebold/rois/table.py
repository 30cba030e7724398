"""Tables of map values in regions, and the list that names the regions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError

TABLE_COLUMNS = [
    "roi", "category", "map", "variant", "n_voxels", "median", "mean", "p90", "unit",
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

    Returns
    -------
    DataFrame
        Columns ``roi category map variant n_voxels median mean p90 unit``. Voxels that are not
        finite in a map are left out of it and of ``n_voxels``.

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
        category = (categories or {}).get(roi, "n/a")
        for name, values in maps.items():
            if np.shape(values) != member.shape:
                raise DataError(
                    f"ROI {roi} has {member.shape} entries, map {name} {np.shape(values)}"
                )
            inside = np.asarray(values, float)[member]
            inside = inside[np.isfinite(inside)]
            row = [roi, category, name, variant, inside.size]
            if inside.size:
                row += [np.median(inside), inside.mean(), np.percentile(inside, 90)]
            else:
                row += [np.nan] * 3
            rows.append([*row, unit])
    return pd.DataFrame(rows, columns=TABLE_COLUMNS)


def entries(table: pd.DataFrame | None, *, subject: str) -> list[dict]:
    """Return the rows of the ROI list that hold for a subject.

    Parameters
    ----------
    table : DataFrame or None
        The ROI list; None stands for the derived visual region alone.
    subject : str
        With the ``sub-`` prefix; it replaces ``{subject}`` in paths.
    """
    if table is None:
        return [{"name": "visual", "category": "derived", "source": "visual", "path": "n/a"}]
    check_list(table)
    label = subject.removeprefix("sub-")
    found = []
    for row in table.to_dict("records"):
        owner = str(row.get("subject", "n/a")).removeprefix("sub-")
        if owner in ("n/a", "nan", label):
            found.append({**row, "path": str(row["path"]).replace("{subject}", label)})
    return found
