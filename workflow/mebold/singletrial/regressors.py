"""Extra regressors of a fit, chosen by name from the confound tables of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError

_WILD = frozenset("*?[")


def of_runs(
    tables: Sequence[pd.DataFrame],
    names: Sequence[str],
    *,
    runs: Sequence[str],
    key: str = "glm.confounds",
    patterns_may_miss: bool = False,
) -> list[np.ndarray] | None:
    """Return the columns of confound tables that names ask for, standardised.

    Parameters
    ----------
    tables : sequence of DataFrame
        One per run, a row per sample of its series.
    names : sequence of str
        Columns; ``*``, ``?`` and ``[xyz]`` match as in file names. A plain name must be in every
        run, a pattern in one at least: outliers (``motion_outlier*``) differ from run to run.
    runs : sequence of str
        Names of the runs, for messages.
    key : str
        Of the configuration, for messages.
    patterns_may_miss : bool
        Accept a pattern that finds nothing in any run.

    Returns
    -------
    list of (T_r, q_r) float64 array, or None
        Mean 0 and standard deviation 1 (0 for a constant column); None without names. The first
        row of a derivative is missing and takes the value of the second, as nilearn has it.

    Raises
    ------
    ConfigError
        For a name that finds nothing, with the columns that exist.
    DataError
        For a missing value after the first row.
    """
    if not names:
        return None
    for name in names:
        found = [any(fnmatchcase(column, name) for column in table) for table in tables]
        pattern = bool(_WILD & set(name))
        enough = patterns_may_miss or any(found) if pattern else all(found)
        if not enough:
            run = found.index(False)
            raise ConfigError(
                f"`{key}`: {runs[run]} has no confound {name!r}; its table holds: "
                + ", ".join(map(str, tables[run].columns))
            )
    return [_chosen(table, names, run) for table, run in zip(tables, runs, strict=True)]


def _chosen(table: pd.DataFrame, names: Sequence[str], run: str) -> np.ndarray:
    """Return the chosen columns of one run, each once."""
    wanted = [c for c in table.columns if any(fnmatchcase(c, name) for name in names)]
    numbers = table[wanted].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    if len(numbers) > 1:
        first = ~np.isfinite(numbers[0])
        numbers[0, first] = numbers[1, first]
    bad = ~np.isfinite(numbers)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{run}: confound {wanted[column]!r} has no value in row {row + 1} of {len(numbers)}; "
            "only the first may be missing"
        )
    numbers -= numbers.mean(axis=0)
    deviation = numbers.std(axis=0)
    return numbers / np.where(deviation > 0, deviation, 1)
