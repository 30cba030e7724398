"""Checks of the run table across its rows: every finding names file, key and fix."""

from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from mebold.errors import MetadataError
from mebold.inventory_check_fieldmaps import fieldmap_rules
from mebold.inventory_check_runs import RUN_RULES
from mebold.inventory_findings import Finding, error, listed, warning
from mebold.inventory_runs import Run, collect
from mebold.inventory_table import records

_MOST_SHOWN = 8
_SEVERITIES = ("error", "refused", "warning")


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
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        shown = [f"- {finding}" for finding in errors[:_MOST_SHOWN]]
        if len(errors) > _MOST_SHOWN:
            shown.append(f"and {len(errors) - _MOST_SHOWN} more.")
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise MetadataError(f"The data set has {count}:\n" + "\n".join(shown))
    return found


def findings(table: pd.DataFrame) -> list[Finding]:
    """Return all findings of a run table, errors first; see `check`."""
    runs = collect(table)
    found = [*_files(table), *_noise_scans(table, runs), *fieldmap_rules(records(table))]
    found += [finding for run in runs for rule in RUN_RULES for finding in rule(run)]
    found += [finding for members in _groups(runs) for finding in _group(members)]
    return sorted(dict.fromkeys(found), key=lambda finding: _SEVERITIES.index(finding.severity))


def _files(table: pd.DataFrame) -> Iterator[Finding]:
    """Damaged images and unknown parts one by one, images without content together."""
    columns = ["path", "image_state", "component", "part"]
    absent = []
    for path, state, component, part in table[columns].itertuples(index=False):
        if state in ("empty", "missing"):
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
            "a dry-run works, a run will stop"
        )
        yield warning(absent[0], "image", message, "Fetch the content")


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
    times = {run.first["repetition_time"] for run in members} - {None}
    if len(times) > 1:
        report = error if any(run.first["n_events"] for run in members) else warning
        message = f"runs of one task disagree: {listed(times)} s"
        yield report(last["path"], "RepetitionTime", message, protocol.capitalize())
