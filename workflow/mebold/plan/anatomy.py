"""The plan of the anatomy, and the output space that follows from it."""

from collections.abc import Mapping

import pandas as pd

from mebold.errors import MetadataError
from mebold.files import bids
from mebold.inventory.findings import by, series_of
from mebold.inventory.table import records
from mebold.plan import mp2rage

#: What each anatomical image may be made from, best first.
KINDS = {"T1w": ("T1w", "UNIT1"), "T2w": ("T2w",)}

#: Name under which the images are kept that a T1w was averaged with.
AVERAGED = "T1wAveragedWith"
_COLUMNS = ("subject", "suffix", "datatype", "path", "reconstruction", "shape")
_MP2RAGE = (
    *("component", "inversion", "echo_time", "inversion_time", "flip_angle", "repetition_time"),
    *("repetition_time_preparation", "repetition_time_excitation", "number_shots"),
)

Decision = tuple[bool, str]


def chosen_image(
    kinds: Mapping[str, list[dict]],
    kind: str,
    *,
    wanted: str | None = None,
    kept: Mapping[str, str | None] | None = None,
) -> dict | None:
    """Return the row of the T1w or T2w of a subject that is used.

    The one that the configuration names, else the one that was used before, else the first;
    images that the scanner normalised come before images that it did not. One that is a series of
    volumes is never used.

    Parameters
    ----------
    kinds : mapping
        Suffix to the rows of the subject's anatomical images.
    kind : {"T1w", "T2w"}
        A UNIT1 stands in for a T1w.
    wanted : str, optional
        Entities of the image, such as ``ses-02_acq-mprage``.
    kept : mapping, optional
        Kind to the path that was used before; None of a T2w means that there was none.

    Raises
    ------
    MetadataError
        When no image, or more than one, has the wanted entities.
    """
    volumes = {
        suffix: [r for r in kinds.get(suffix, ()) if not series_of(r)] for suffix in KINDS[kind]
    }
    rows = next((own for own in volumes.values() if own), [])
    if wanted and rows:
        parts = set(wanted.split("_"))
        named = [r for r in rows if parts <= set(r["path"].rsplit("/", 1)[-1].split("_"))]
        if len(named) != 1:
            what = "none has" if not named else f"{len(named)} have"
            listed = ", ".join(r["path"] for r in named or rows)
            message = (
                f"Configuration key `anat.{kind}`: of the {rows[0]['suffix']} images of "
                f"sub-{rows[0]['subject']}, {what} {wanted!r} in the name ({listed})."
            )
            raise MetadataError(message)
        return named[0]
    if kept and kind in kept:
        before = [r for own in volumes.values() for r in own]
        if row := next((r for r in before if r["path"] == kept[kind]), None):
            return row
        if kept[kind] is None and kind == "T2w":
            return None
    ranked = sorted(rows, key=lambda r: (r.get("reconstruction") == "nonorm", r["path"]))
    return ranked[0] if ranked else None


def averaged_with(
    kinds: Mapping[str, list[dict]],
    used: Mapping,
    *,
    wanted: str | None = None,
    kept: Mapping[str, object] | None = None,
) -> list[dict]:
    """Return the rows of the other T1w images of a subject that are averaged with the used one.

    Repeats of one image: the same suffix, ``acq-``, ``ce-`` and ``rec-``. A scan that is there as
    the scanner normalised it and as it was acquired is one scan.

    Parameters
    ----------
    kinds : mapping
        Suffix to the rows of the subject's anatomical images.
    used : mapping
        Row that `chosen_image` returned.
    wanted : str, optional
        The configuration names one image: nothing is averaged.
    kept : mapping, optional
        What was used before: what came later is not averaged.
    """
    if wanted or used["suffix"] != "T1w":
        return []

    def protocol(row: Mapping) -> tuple:
        name = row["path"].rsplit("/", 1)[-1]
        parts = name.split("_")
        return tuple(part for part in parts if part.startswith(("acq-", "ce-", "rec-")))

    rows = [
        row
        for row in kinds.get(used["suffix"], ())
        if row["path"] != used["path"] and protocol(row) == protocol(used) and not series_of(row)
    ]
    if kept and kept.get("T1w"):
        before = kept.get(AVERAGED) or []
        rows = [row for row in rows if row["path"] in before]
    return sorted(rows, key=lambda row: row["path"])


def anatomy_decisions(
    table: pd.DataFrame,
    config: Mapping | None = None,
    kept: Mapping[str, Mapping[str, str | None]] | None = None,
    *,
    efficiency: float = 1.0,
) -> dict[str, Decision]:
    """Return, for each subject, whether anatomy is processed, and with which images.

    Parameters
    ----------
    table : DataFrame
        Run table.
    config : mapping, optional
        Section ``anat`` of the configuration.
    kept : mapping, optional
        Subject (``sub-01``) to the images that were used before.
    efficiency : float
        Of the inversion of an MP2RAGE; see `mebold.anat.mp2rage`.
    """
    found: dict[str, dict[str, list[dict]]] = {}
    rows = records(table[[*_COLUMNS, *_MP2RAGE]])
    for row in rows:
        kinds = found.setdefault(row["subject"], {})
        if row["datatype"] == "anat":
            kinds.setdefault(row["suffix"], []).append(row)
    decisions = {}
    for subject, kinds in found.items():
        suffix = next((s for s in KINDS["T1w"] if s in kinds), None)
        if suffix is None:
            other = f" (only {', '.join(sorted(kinds))})" if kinds else ""
            decisions[subject] = (False, f"no T1w or UNIT1 image{other}")
            continue
        series = [
            r for kind in KINDS.values() for s in kind for r in kinds.get(s, ()) if series_of(r)
        ]
        refused = [
            f"{r['path']} is a series of {by(r['shape'])}: one volume is needed" for r in series
        ]
        if all(series_of(row) for s in KINDS["T1w"] for row in kinds.get(s, ())):
            decisions[subject] = (False, "; ".join(refused))
            continue
        notes = []
        before = (kept or {}).get(bids.folder(subject))
        for kind, own in (("T1w", kinds[suffix]), ("T2w", kinds.get("T2w", []))):
            used = chosen_image(kinds, kind, wanted=(config or {}).get(kind), kept=before)
            if used and used["suffix"] == "UNIT1":
                pair = mp2rage.inversions(used, kinds.get("MP2RAGE", []))
                notes.append(mp2rage.note(pair, efficiency=efficiency))
            if own and used is None and not all(map(series_of, own)):
                notes.append(f"the {kind} came after the first alignment and is not used")
            elif used and len(own) > 1:
                name = used["path"].rsplit("/", 1)[-1]
                with_it = []
                if kind == "T1w" and (config or {}).get("several") == "average":
                    wanted = (config or {}).get(kind)
                    with_it = averaged_with(kinds, used, wanted=wanted, kept=before)
                names = ", ".join(row["path"].rsplit("/", 1)[-1] for row in with_it)
                what = f"is averaged with {names}" if names else "is used"
                notes.append(f"{len(own)} {used['suffix']} images, {name} {what}")
        decisions[subject] = (True, "; ".join(notes + refused))
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
