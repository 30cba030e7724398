"""Checks of the run table across its rows: every finding names file, key and fix."""

from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from mebold.errors import MetadataError
from mebold.inventory import megre
from mebold.inventory.check_runs import LONGEST_ECHO_TIME_S, RUN_RULES
from mebold.inventory.fieldmaps import estimates
from mebold.inventory.findings import Finding, by, error, listed, series_of, warning
from mebold.inventory.runs import Run, collect
from mebold.inventory.table import ABSENT, records

_MOST_SHOWN = 8
_SEVERITIES = ("error", "refused", "warning")
_MAGNITUDES = ("magnitude1", "magnitude2")
_CONTENTLESS = {"empty": "0 bytes", "missing": "a link to what was not fetched"}


def check(table: pd.DataFrame) -> list[Finding]:
    """Check a run table across its rows.

    Parameters
    ----------
    table : DataFrame
        As from `mebold.inventory.index`.

    Returns
    -------
    list of Finding
        Refused runs and warnings.

    Raises
    ------
    MetadataError
        When there is an error; the message lists the first ones.
    """
    found = findings(table)
    require_none(found)
    return found


def require_none(found: list[Finding]) -> None:
    """Raise `MetadataError` when there is an error among findings."""
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        shown = [f"- {finding}" for finding in errors[:_MOST_SHOWN]]
        if len(errors) > _MOST_SHOWN:
            shown.append(f"and {len(errors) - _MOST_SHOWN} more.")
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise MetadataError(f"The data set has {count}:\n" + "\n".join(shown))


def findings(table: pd.DataFrame, *, contents: bool = False) -> list[Finding]:
    """Return all findings of a run table, errors first.

    `contents` makes an error of every image without content; one warning of all otherwise.
    """
    runs = collect(table)
    rows = records(table)
    found = [*_files(table, contents), *_noise_scans(table, runs), *fieldmap_rules(rows)]
    found += megre.rules(rows)
    found += [finding for run in runs for rule in RUN_RULES for finding in rule(run)]
    found += [finding for members in _groups(runs) for finding in _group(members)]
    return sorted(dict.fromkeys(found), key=lambda finding: _SEVERITIES.index(finding.severity))


def _files(table: pd.DataFrame, contents: bool) -> Iterator[Finding]:
    """Damaged images and unknown parts one by one, images without content together."""
    columns = ["path", "problem", "image_state", "component", "part"]
    absent = []
    for path, problem, state, component, part in table[columns].itertuples(index=False):
        if problem != ABSENT:
            yield error(path, "metadata", problem.rstrip("."), "Nothing is made of it until then")
        if state in _CONTENTLESS and contents:
            fix = "Fetch it (`datalad get`), or name it in `exclude`"
            yield error(path, "image", f"the file has no content ({_CONTENTLESS[state]})", fix)
        elif state in _CONTENTLESS:
            absent.append(path)
        if state == "damaged":
            fix = "Fetch or copy it again, or remove it"
            yield error(path, "image", "the file is no readable NIfTI image", fix)
        if component == "other":
            message = (
                f"the label {part!r} is neither magnitude nor phase, and ImageType does not say; "
                "the image is left out"
            )
            yield warning(path, "part", message, "Rename it to part-mag or part-phase")
    if absent:
        message = (
            f"{len(absent)} of {len(table)} images have no content (0 bytes or a dangling link); "
            "a dry-run works, a run leaves out what needs them"
        )
        yield warning(absent[0], "image", message, "Fetch the content (`datalad get`)")


def _noise_scans(table: pd.DataFrame, runs: list[Run]) -> Iterator[Finding]:
    """Noise scans whose names go with no run."""
    known = {(run.folder, run.stem) for run in runs}
    columns = ["path", "folder", "stem", "suffix"]
    for path, folder, stem, suffix in table[columns].itertuples(index=False):
        if suffix == "noRF" and (folder, stem) not in known:
            message = f"no BOLD run is named {stem}; the noise scan is not used"
            yield warning(path, "noRF", message, "Give it the entities of its run, up to run-")


def _groups(runs: list[Run]) -> list[list[Run]]:
    groups = defaultdict(list)
    for run in runs:
        if not run.refusal:
            groups[run.group].append(run)
    return list(groups.values())


def _group(members: list[Run]) -> Iterator[Finding]:
    """Compare the runs that one single-trial GLM fits together."""
    last = members[-1].first
    if len({run.first["reconstruction"] for run in members}) > 1:
        message = (
            "several reconstructions are taken as separate runs of one task; if they are of one "
            "scan, each trial counts twice"
        )
        yield warning(last["path"], "rec", message, "Leave all but one out of the data set")
    protocol = "give runs of another protocol their own acq- label"
    most = max(members, key=lambda run: run.n_echoes)
    for run in members:
        if run.n_echoes != most.n_echoes:
            message = f"{run.n_echoes} of {most.n_echoes} echoes, which {most.stem} has"
            yield error(run.first["path"], "echo", message, f"Add the missing echo, or {protocol}")
    times = [run.first["repetition_time"] for run in members if run.first["repetition_time"]]
    usual = max(times, key=times.count, default=None)
    report = error if any(run.first["n_events"] for run in members) else warning
    for row in (run.first for run in members):
        if row["repetition_time"] not in (None, usual):
            message = (
                f"runs of one task disagree: {listed(times)} s, most have {usual:g} s and this one "
                f"{row['repetition_time']:g} s"
            )
            yield report(row["path"], "RepetitionTime", message, protocol.capitalize())


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
        for image in estimate.images:
            if image["suffix"] != "epi" and series_of(image):
                message = f"{by(image['shape'])} is a series, one volume is needed"
                fix = "Keep one volume (of two echoes, each in its own file)"
                yield error(image["path"], "shape", message, fix)
        images = {image["suffix"]: image for image in estimate.images}
        if estimate.kind == "phasediff":
            yield from _phasediff(images)
        elif estimate.kind == "phases":
            yield from _two_phases(images)
        elif estimate.kind == "megre":
            yield from _untimed(estimate.images)
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
    magnitudes = [images[name]["echo_time"] for name in _MAGNITUDES if name in images]
    if None in (first, second) and len(magnitudes) == len(_MAGNITUDES):
        first, second = magnitudes  # acquired at the same two echo times
    if first is None or second is None:
        fix = "Add the two echo times of the phase difference in seconds, here or in its magnitudes"
        yield error(row["path"], key, "a key is absent", fix)
    elif not 0 < first < second < LONGEST_ECHO_TIME_S:
        message = f"{first:g} and {second:g} s are not two ascending echo times"
        yield error(row["path"], key, message, "Correct them, in seconds")
    if not magnitudes:
        fix = "Add the magnitude1 or the magnitude2 image, or remove the fieldmap"
        yield error(row["path"], "magnitude1", "the magnitude image is missing", fix)


def _untimed(images: list[dict]) -> Iterator[Finding]:
    for image in images:
        if image["echo_time"] is None:
            fix = "Add EchoTime in seconds to its sidecar"
            yield error(image["path"], "EchoTime", "the key is absent", fix)


def _two_phases(images: dict[str, dict]) -> Iterator[Finding]:
    first, second = (images[name]["echo_time"] for name in ("phase1", "phase2"))
    if not any(name in images for name in _MAGNITUDES):
        fix = "Add the magnitude1 or the magnitude2 image, or remove the fieldmap"
        yield error(images["phase1"]["path"], "magnitude1", "the magnitude image is missing", fix)
    if first is None or second is None:
        absent = images["phase1" if first is None else "phase2"]
        fix = "Add EchoTime in seconds to its sidecar"
        yield error(absent["path"], "EchoTime", "the key is absent", fix)
    elif not 0 < first < second < LONGEST_ECHO_TIME_S:
        message = f"phase1 and phase2 have {first:g} and {second:g} s, which do not ascend"
        yield error(images["phase2"]["path"], "EchoTime", message, "Correct them, in seconds")
