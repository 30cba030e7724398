"""What a call that is restricted to some labels leaves of the plan of the others."""

import pandas as pd

from mebold.inventory.table import ABSENT

_KEY = ["subject", "session", "task"]


def with_others(plan: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Return a plan with the rows of an earlier one that it says nothing about.

    Parameters
    ----------
    plan : DataFrame
        Of this call; see `mebold.plan.table.make_plan`.
    earlier : DataFrame
        As it was written by an earlier call; missing values are absent labels.

    Returns
    -------
    DataFrame
        In the order of the labels; `plan` itself where there are no others.
    """
    known = {tuple(row) for row in plan[_KEY].astype(str).itertuples(index=False)}
    earlier = earlier.reindex(columns=plan.columns).astype(dict.fromkeys(plan.columns, object))
    earlier = earlier.where(earlier.notna(), ABSENT)
    rows = earlier[_KEY].astype(str).itertuples(index=False)
    others = earlier[[tuple(row) not in known for row in rows]]
    if others.empty:
        return plan
    joined = pd.concat([plan.astype(object), others], ignore_index=True).astype(plan.dtypes)
    return joined.sort_values("subject", kind="stable", ignore_index=True)
