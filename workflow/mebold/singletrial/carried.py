"""Columns of the events that a trial table carries along, unchanged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

MISSING = "n/a"
#: Columns of the events that the trial table has by the same name and meaning.
SAME = ("onset",)
PREFIX = "events_"


def columns(cells: Sequence[pd.DataFrame], taken: Collection[str]) -> dict[str, str]:
    """Name the further columns of the events in the trial table.

    Parameters
    ----------
    cells : sequence of DataFrame
        Events of every run.
    taken : collection of str
        Columns that the trial table has; a column of the events of that name gets the prefix
        ``events_``, as often as it takes.

    Returns
    -------
    dict of str to str
        Column of the events to column of the trial table, in order of first appearance.
    """
    found: dict[str, str] = {}
    every = [str(name) for table in cells for name in table.columns]
    for column in dict.fromkeys(every):
        if column in SAME:
            continue
        name = column
        while name in taken or name in found.values() or (name != column and name in every):
            name = PREFIX + name
        found[column] = name
    return found


def values(
    cells: Sequence[pd.DataFrame], rows: Sequence[Sequence[int]], names: Mapping[str, str]
) -> pd.DataFrame:
    """Return the carried cells of all trials, run after run.

    Parameters
    ----------
    cells : sequence of DataFrame
        Events of every run as text.
    rows : sequence of sequence of int
        Of every run, the position in its events of each trial.
    names : mapping
        From `columns`.

    Returns
    -------
    DataFrame
        As written in the events; ``n/a`` where a run has no such column.
    """
    parts = [
        table.iloc[list(chosen)].reindex(columns=list(names), fill_value=MISSING)
        for table, chosen in zip(cells, rows, strict=True)
    ]
    return pd.concat(parts, ignore_index=True).rename(columns=dict(names))


def descriptions(names: Mapping[str, str], sidecar: Mapping[str, object]) -> dict[str, dict]:
    """Return the sidecar entries of carried columns: those of the events, else their origin.

    Parameters
    ----------
    names : mapping
        From `columns`.
    sidecar : mapping
        Content of the events.json that applies; may be empty.
    """
    found = {}
    for column, name in names.items():
        entry = sidecar.get(column)
        entry = dict(entry) if isinstance(entry, Mapping) else {}
        entry.setdefault("Description", f"Column {column} of events.tsv, unchanged.")
        found[name] = entry
    return found
