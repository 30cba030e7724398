"""Tables (TSV) and sidecars (JSON) in and out, with BIDS conventions."""

import json
from pathlib import Path

import numpy as np

from mebold.files.atomic import FULL_SUFFIXES, atomic

_LABELS = ("subject", "session", "task", "acquisition", "run", "label", "roi", "name")


def sidecar(path: str | Path) -> Path:
    """Return the name of the JSON file beside an image or table."""
    path = Path(path)
    for suffix in FULL_SUFFIXES:
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix) + ".json")
    return path.with_suffix(".json")


def _plain(value: object) -> object:
    """Turn numpy values into what JSON can hold; not-a-number becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_json(path: str | Path, content: dict) -> None:
    """Write a dictionary as indented JSON; numpy values are converted."""
    with atomic(path) as partial:
        partial.write_text(json_text(content) + "\n")


def json_text(content: dict) -> str:
    """Return a dictionary as indented JSON; numpy values are converted."""
    return json.dumps(_plain(content), indent=2, ensure_ascii=False)


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def write_tsv(path: str | Path, table: "pandas.DataFrame") -> None:  # noqa: F821
    """Write a table as BIDS wants it: tabs, ``n/a`` for missing values, no index."""
    with atomic(path) as partial:
        table.to_csv(partial, sep="\t", na_rep="n/a", index=False)


def read_tsv(path: str | Path) -> "pandas.DataFrame":  # noqa: F821
    """Read a BIDS table; only ``n/a`` is missing, and labels (``01``, ``NA``) survive as text."""
    import pandas as pd

    header = pd.read_csv(path, sep="\t", nrows=0).columns
    labels = {name: str for name in _LABELS if name in header}
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype=labels)


def read_cells(path: str | Path) -> "pandas.DataFrame":  # noqa: F821
    """Read a BIDS table as text: every cell as it is written, ``n/a`` and quotation marks too."""
    import csv

    import pandas as pd

    as_text = {"dtype": str, "na_filter": False, "quoting": csv.QUOTE_NONE}
    return pd.read_csv(path, sep="\t", encoding="utf-8-sig", **as_text)
