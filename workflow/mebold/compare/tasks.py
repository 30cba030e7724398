"""Which rows of the comparison belong together: one comparison per task and acquisition.

Numbers of two tasks are never averaged: a variant may gain in one and lose in the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mebold.errors import DataError

#: Columns that tell comparisons apart; ``acquisition`` is ``n/a`` where names have none.
COLUMNS = ["task", "acquisition"]
_NONE = "n/a"


def name(labels: Mapping[str, str | None]) -> str:
    """Return the entities of a comparison, ``task-images`` or ``task-images_acq-hires``.

    Parameters
    ----------
    labels : mapping
        ``task`` and ``acquisition``: a row of a table or of the run table; None, NaN or ``n/a``
        stands for an absent acquisition.
    """
    task, acquisition = (labels[column] for column in COLUMNS)
    absent = acquisition is None or pd.isna(acquisition) or acquisition == _NONE
    return f"task-{task}" if absent else f"task-{task}_acq-{acquisition}"


def rows_of(table: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the rows of one comparison, named as `name` does."""
    return table[[name(row) == wanted for row in table[COLUMNS].to_dict("records")]]


def names(table: pd.DataFrame) -> list[str]:
    """Return the comparisons that a table holds, in its order."""
    return [name(row) for row in table[COLUMNS].drop_duplicates().to_dict("records")]


def require_one(table: pd.DataFrame) -> None:
    """Refuse rows of several comparisons where one is spoken of or drawn."""
    if len(found := names(table)) > 1:
        raise DataError(
            f"the table holds the comparisons {', '.join(found)}, which must not be averaged: "
            "choose one (`mebold.compare.tasks.rows_of`)"
        )


def gathered(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of sessions together, absent labels as ``n/a``.

    A file gives them as missing values, which every grouping by session would drop.
    """
    table = pd.concat(tables, ignore_index=True)
    labels = [label for label in ("session", *COLUMNS) if label in table]
    return table.astype(dict.fromkeys(labels, object)).fillna(dict.fromkeys(labels, _NONE))
