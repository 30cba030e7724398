"""The trials of several sessions in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mebold.singletrial import carried

#: Column that keeps the number of a trial in its session.
IN_SESSION = "session_beta_index"
COLUMN = {"Description": "Volume of the session's own betas image that holds this trial, from 0."}


def joined(trials: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the trials of all sessions, numbered through.

    Parameters
    ----------
    trials : sequence of DataFrame
        Trial tables, rows in the order of the betas of each session.

    Returns
    -------
    DataFrame
        ``beta_index`` counts through all sessions, ``session_beta_index`` within each; ``n/a``
        where a session lacks a column of the others.
    """
    parts = [table.rename(columns={"beta_index": IN_SESSION}) for table in trials]
    table = pd.concat(parts, ignore_index=True)
    lacking = [c for c in table if any(c not in part for part in parts)]
    table[lacking] = table[lacking].astype(object).where(table[lacking].notna(), carried.MISSING)
    place = list(trials[0].columns).index("beta_index")
    table.insert(place, "beta_index", np.arange(len(table)))
    return table


def columns(sidecars: Sequence[Mapping[str, Mapping]]) -> dict[str, Mapping]:
    """Return the sidecar of the joined table from those of the sessions."""
    found: dict[str, Mapping] = {}
    for sidecar in sidecars:
        found |= {name: entry for name, entry in sidecar.items() if name not in found}
    return found | {IN_SESSION: COLUMN} | {"beta_index": {"Description": "Column of the betas."}}
