"""The plan of the anatomy, and the output space that follows from it."""

import pandas as pd

from mebold.inventory.table import records

_ANATOMY = ("T1w", "UNIT1")

Decision = tuple[bool, str]


def anatomy_decisions(table: pd.DataFrame) -> dict[str, Decision]:
    """Return, for each subject, whether anatomy is processed."""
    found: dict[str, dict[str, list[str]]] = {}
    rows = records(table[["subject", "suffix", "datatype", "path"]])
    for row in rows:
        kinds = found.setdefault(row["subject"], {})
        if row["datatype"] == "anat":
            kinds.setdefault(row["suffix"], []).append(row["path"])
    decisions = {}
    for subject, kinds in found.items():
        suffix = next((s for s in _ANATOMY if s in kinds), None)
        if suffix is None:
            other = f" (only {', '.join(sorted(kinds))})" if kinds else ""
            decisions[subject] = (False, f"no T1w or UNIT1 image{other}")
            continue
        notes = [] if suffix == "T1w" else ["UNIT1 in place of a T1w"]
        if len(kinds[suffix]) > 1:
            notes.append(f"{len(kinds[suffix])} {suffix} images, one is used")
        decisions[subject] = (True, "; ".join(notes))
    return decisions


def output_space(config: dict, anatomy: dict[str, Decision]) -> str:
    """Return the space of the output: T1w, boldref or the label of a template.

    Parameters
    ----------
    config : dict
        ``output.space``; ``auto`` and an absent key are T1w unless no subject has one, or, with
        ``output.without_T1w: boldref``, unless one has none.
    anatomy : dict
        Whether anatomy is processed, by subject.
    """
    wanted = (config.get("output") or {}).get("space", "auto")
    if wanted != "auto":
        return wanted
    needed = all if (config.get("output") or {}).get("without_T1w") == "boldref" else any
    return "T1w" if needed(planned for planned, _ in anatomy.values()) else "boldref"
