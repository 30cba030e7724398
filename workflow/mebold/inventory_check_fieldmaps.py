"""Checks of the fieldmaps that correct a run, and of the keys that pair them."""

from collections import defaultdict
from collections.abc import Iterator

from mebold.inventory_check_runs import LONGEST_ECHO_TIME_S
from mebold.inventory_fieldmaps import estimates
from mebold.inventory_findings import Finding, error, warning


def fieldmap_rules(rows: list[dict]) -> Iterator[Finding]:
    """Check the fieldmaps of a data set.

    Parameters
    ----------
    rows : list of dict
        Rows of the run table, None for absent values.
    """
    yield from _pairing(rows)
    used = defaultdict(list)
    for row in rows:
        if row["suffix"] == "bold":
            for name in row["fieldmaps"] or ():
                used[row["fieldmap_folder"], name].append(row)
    for estimate in estimates(rows):
        if (estimate.folder, estimate.identifier) not in used:
            continue
        yield from _geometry(estimate.images, used[estimate.folder, estimate.identifier])
        images = {image["suffix"]: image for image in estimate.images}
        if estimate.kind == "phasediff":
            yield from _phasediff(images)
        elif estimate.kind == "phases":
            yield from _two_phases(images)
        elif estimate.kind == "fieldmap" and images["fieldmap"]["units"] is None:
            fix = "Add Units: Hz, rad/s or T"
            yield error(images["fieldmap"]["path"], "Units", "the key is absent", fix)


def _pairing(rows: list[dict]) -> Iterator[Finding]:
    known = {(row["subject"], name) for row in rows for name in row["b0_identifier"] or ()}
    for row in rows:
        missing = row["intended_missing"]
        if missing:
            message = f"{len(missing)} target(s) do not exist, such as {missing[0]}"
            yield warning(row["path"], "IntendedFor", message, "Correct or remove the entry")
        for name in row["b0_source"] or ():
            if (row["subject"], name) not in known:
                message = f"no image of the subject has the B0FieldIdentifier {name!r}"
                yield warning(row["path"], "B0FieldSource", message, "Correct one of them")


def _geometry(images: list[dict], runs: list[dict]) -> Iterator[Finding]:
    """Fieldmap and run must be corrected for gradient nonlinearity alike, or not at all."""
    for image in images:
        own = image["gradient_correction"]
        others = {row["gradient_correction"] for row in runs} - {None, own}
        if own and others and "magnitude" in image["suffix"]:
            message = (
                f"the scanner noted {own} for the fieldmap and {', '.join(sorted(others))} for the "
                "BOLD images: gradient nonlinearity (DIS corrected, ND not) moves them differently"
            )
            fix = "Export both alike; far from the middle of the coil the field is misplaced"
            yield warning(image["path"], "ImageType", message, fix)


def _phasediff(images: dict[str, dict]) -> Iterator[Finding]:
    row, key = images["phasediff"], "EchoTime1, EchoTime2"
    first, second = row["echo_time_1"], row["echo_time_2"]
    if first is None or second is None:
        fix = "Add the two echo times of the phase difference in seconds"
        yield error(row["path"], key, "a key is absent", fix)
    elif not 0 < first < second < LONGEST_ECHO_TIME_S:
        message = f"{first:g} and {second:g} s are not two ascending echo times"
        yield error(row["path"], key, message, "Correct them, in seconds")
    if "magnitude1" not in images:
        fix = "Add the magnitude1 image, or remove the fieldmap"
        yield error(row["path"], "magnitude1", "the magnitude image is missing", fix)


def _two_phases(images: dict[str, dict]) -> Iterator[Finding]:
    first, second = (images[name]["echo_time"] for name in ("phase1", "phase2"))
    if first is None or second is None:
        absent = images["phase1" if first is None else "phase2"]
        fix = "Add EchoTime in seconds to its sidecar"
        yield error(absent["path"], "EchoTime", "the key is absent", fix)
    elif not 0 < first < second < LONGEST_ECHO_TIME_S:
        message = f"phase1 and phase2 have {first:g} and {second:g} s, which do not ascend"
        yield error(images["phase2"]["path"], "EchoTime", message, "Correct them, in seconds")
