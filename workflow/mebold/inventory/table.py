"""The run table: its columns, their types, and the file that holds it."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mebold.errors import MetadataError
from mebold.files.atomic import atomic

ABSENT = "n/a"

#: Column to kind. ``text`` is a string (``n/a`` when absent), ``number`` a float and ``integer`` a
#: nullable integer (missing when absent), ``json`` a list or dictionary (None when absent).
COLUMNS = {
    "subject": "text",
    "session": "text",
    "task": "text",
    "acquisition": "text",
    "run": "text",
    "echo": "text",
    "part": "text",
    "suffix": "text",
    "datatype": "text",
    "path": "text",
    "repetition_time": "number",
    "echo_time": "number",
    "slice_timing": "json",
    "phase_encoding_direction": "text",
    "total_readout_time": "number",
    "n_volumes": "integer",
    "fieldmap": "text",
    "events": "text",
    # What names and groups the image.
    "direction": "text",
    "reconstruction": "text",
    "inversion": "text",
    "stem": "text",
    "folder": "text",
    "group": "text",
    "component": "text",
    "echo_index": "integer",
    # Acquisition.
    "acquisition_time": "number",
    "echo_time_1": "number",
    "echo_time_2": "number",
    "flip_angle": "number",
    "inversion_time": "number",
    "repetition_time_preparation": "number",
    "repetition_time_excitation": "number",
    "number_shots": "json",
    "magnetic_field_strength": "number",
    "slice_encoding_direction": "text",
    "acquisition_type": "text",
    "volume_timing": "json",
    "discarded_by_scanner": "integer",
    "discarded_by_user": "integer",
    "units": "text",
    "image_type": "json",
    "gradient_correction": "text",
    "readout_by": "text",
    # The image file.
    "image_state": "text",
    "problem": "text",
    "shape": "json",
    "voxel_mm": "json",
    # Pairing with fieldmaps and events.
    "fieldmaps": "json",
    "fieldmap_kind": "text",
    "fieldmap_by": "text",
    "fieldmap_folder": "text",
    "fieldmap_opposed": "text",
    "b0_identifier": "json",
    "b0_source": "json",
    "intended_for": "json",
    "intended_missing": "json",
    "n_events": "integer",
    "events_columns": "json",
    "events_repeats": "json",
    "events_problem": "text",
    "events_trials": "json",
    "events_sidecars": "json",
}


def absent(value: object) -> bool:
    """Return whether a cell of the run table is empty, whatever its kind."""
    if value is None or value is pd.NA or value == ABSENT:
        return True
    return isinstance(value, float) and math.isnan(value)


def frame(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return rows as a run table: all columns, in order, each of its own kind."""
    rows = list(rows)
    return pd.DataFrame({c: _column([row.get(c) for row in rows], c) for c in COLUMNS})


def _column(values: list, column: str) -> pd.Series:
    kind = COLUMNS[column]
    if kind == "text":
        return pd.Series([ABSENT if absent(v) else str(v) for v in values], dtype="str")
    if kind == "number":
        return pd.Series([None if absent(v) else float(v) for v in values], dtype="float64")
    if kind == "integer":
        return pd.Series([None if absent(v) else int(v) for v in values], dtype="Int64")
    return pd.Series([None if absent(v) else v for v in values], dtype="object")


def records(table: pd.DataFrame) -> list[dict]:
    """Return the rows of a run table as dictionaries, with None for every absent value."""
    columns = {column: _cells(table[column]) for column in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cells(column: pd.Series) -> list:
    """Return the cells of a column with None for absent ones, as its kind allows to tell them."""
    values, kind = column.tolist(), COLUMNS.get(column.name)
    if kind in ("number", "integer"):
        gone = column.isna().tolist()
        return [None if out else value for value, out in zip(values, gone, strict=True)]
    if kind == "text" and column.dtype == "str":
        return [None if value == ABSENT or value != value else value for value in values]
    return [None if absent(value) else value for value in values]


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a run table as TSV, atomically; see `table_text`.

    Parameters
    ----------
    table : DataFrame
        As from `mebold.inventory.index`.
    path : path-like
    """
    with atomic(path) as partial:
        partial.write_text(table_text(table), encoding="utf-8")


def table_text(table: pd.DataFrame) -> str:
    """Return a run table as TSV: ``n/a`` for absent values, lists as JSON."""
    text = {}
    for column in table.columns:
        kind = COLUMNS.get(column, "text")
        text[column] = [ABSENT if absent(v) else _cell(v, kind) for v in table[column].tolist()]
    lines = ["\t".join(text)]
    lines += ["\t".join(cells) for cells in zip(*text.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _cell(value: object, kind: str) -> str:
    if kind == "json":
        return json.dumps(value, separators=(", ", ": "))
    if kind == "number":
        return repr(float(value))
    return " ".join(str(value).split())  # a tab or a line break would end the cell


#: Columns that become part of the names of outputs, and what they may hold.
_NAMES = (
    *("subject", "session", "task", "acquisition", "run", "echo", "direction", "stem", "group"),
    *("folder", "fieldmap_folder"),
)
_NAME = re.compile(r"[A-Za-z0-9_+-]*")
_FOLDER = re.compile(r"sub-[A-Za-z0-9+]+(/ses-[A-Za-z0-9+]+)?")


def _check_names(path: Path, header: list[str], cells: list[list[str]]) -> None:
    """Refuse labels that lead out of the output folder; tables may be written by hand."""
    for column in _NAMES:
        place = header.index(column)
        pattern = _FOLDER if column.endswith("folder") else _NAME
        for line, row in enumerate(cells, 2):
            if row[place] != ABSENT and not pattern.fullmatch(row[place]):
                raise MetadataError(
                    f"The run table {path} has {row[place]!r} as {column} in line {line}: accepted "
                    "are letters, digits, '_', '+' and '-', and a folder sub-01 or sub-01/ses-01."
                )


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a run table that `write_table` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    DataFrame
        See `COLUMNS`; equal to what was written.

    Raises
    ------
    MetadataError
        When the file is absent or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        message = (
            f"The run table {path} does not exist: make it with "
            f"`python -m mebold.inventory BIDS_DIR -o {path}`."
        )
        raise MetadataError(message)
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t") if lines else []
    missing = [column for column in COLUMNS if column not in header]
    cells = [line.split("\t") for line in lines[1:]]
    ragged = next((i for i, row in enumerate(cells, 2) if len(row) != len(header)), None)
    if missing or ragged:
        what = f"lacks the column {missing[0]}" if missing else f"is damaged in line {ragged}"
        message = f"The run table {path} {what}: delete it, and it is made again."
        raise MetadataError(message)
    _check_names(path, header, cells)
    decoded: dict[str, object] = {}
    columns = dict(zip(header, zip(*cells, strict=True), strict=True)) if cells else {}
    parsed = {}
    for column, kind in COLUMNS.items():
        values = columns.get(column, ())
        if kind == "json":
            decoded.update({v: json.loads(v) for v in set(values) - {ABSENT} if v not in decoded})
            values = [None if v == ABSENT else decoded[v] for v in values]
        parsed[column] = _column(list(values), column)
    return pd.DataFrame(parsed)
