"""Plan of the distortion correction: which runs get a field, one that changes, or a warp."""

from mebold.errors import MetadataError
from mebold.inventory.fieldmaps import OTHERS_ONLY, USABLE
from mebold.inventory.runs import Run
from mebold.plan.anatomy import Decision


def field_decision(run: Run) -> Decision:
    """Decide whether a run is corrected with a fieldmap, and say which or why not."""
    row = run.first
    if run.refusal:
        return False, run.refusal
    if not row["fieldmaps"]:
        others = row["fieldmap_by"] == OTHERS_ONLY
        why = f"{OTHERS_ONLY} (see `fmap.assign`)" if others else "no fieldmap"
        return False, f"{why}: no distortion correction"
    if row["fieldmap_kind"] not in USABLE:
        return False, (
            f"the EPI images of the fieldmap {row['fieldmap']} do not encode two opposite "
            "directions (PhaseEncodingDirection, TotalReadoutTime), nor does one of them with a "
            "run of the session: no distortion correction"
        )
    lacking = _lacks_encoding(row)
    if lacking:
        return False, lacking
    return True, f"{', '.join(sorted(row['fieldmaps']))}: {row['fieldmap_by']}"


def _lacks_encoding(row: dict) -> str:
    """Say what the sidecar lacks to turn a field into a shift; empty if nothing."""
    for column, key in (
        ("phase_encoding_direction", "PhaseEncodingDirection"),
        ("total_readout_time", "TotalReadoutTime or EffectiveEchoSpacing"),
    ):
        unseen = column == "total_readout_time" and row["readout_by"] and not row["shape"]
        if row[column] is None and not unseen:  # what the header tells is known when it is there
            return f"no {key} in the sidecar: no distortion correction"
    return ""


def medic_decision(run: Run) -> Decision:
    """Decide whether MEDIC makes the field of a run, which needs no fieldmap."""
    if run.refusal:
        return False, run.refusal
    for lacks, what in (
        (run.n_echoes == 1, "two echoes, the run has one"),
        ("phase" not in run.bold, "phase images"),
        (run.first["n_volumes"] == 1, "several volumes, the run has one"),
    ):
        if lacks:
            return False, f"`sdc: medic` needs {what}: no distortion correction"
    lacking = _lacks_encoding(run.first)
    return (False, lacking) if lacking else (True, "from the phase of the run, by MEDIC (warpkit)")


def change_decision(run: Run, field: Decision) -> Decision:
    """Decide whether the change of the field is measured; `field` decided on the static one."""
    if not field[0]:
        return False, f"`sdc: dynamic` adds to a fieldmap: {field[1]}"
    if run.n_echoes == 1:
        return False, "`sdc: dynamic` needs two echoes, the run has one: static field"
    if "phase" not in run.bold:
        return False, "`sdc: dynamic` needs phase images: static field"
    if run.first["n_volumes"] == 1:
        return False, "one volume: no change of the field"
    return True, ""


#: What the scanner may have noted of gradient nonlinearity -> why the warp is not applied.
_CORRECTED = {
    "DIS3D": "the scanner corrected gradient nonlinearity in 3D (ImageType DIS3D): the warp of "
    "`gradient_nonlinearity` is NOT applied, so that nothing is corrected twice",
    "DIS2D": "the scanner corrected gradient nonlinearity within the slices (ImageType DIS2D): the "
    "warp of `gradient_nonlinearity` is NOT applied, so that nothing is corrected twice; the "
    "displacement through the slices remains",
    "applied": "the scanner corrected gradient nonlinearity (NonlinearGradientCorrection): the "
    "warp of `gradient_nonlinearity` is NOT applied, so that nothing is corrected twice",
}


def warp_decision(run: Run, fieldmap_noted: set[str | None]) -> Decision:
    """Decide whether the warp of gradient nonlinearity is applied to a run.

    Parameters
    ----------
    run : Run
    fieldmap_noted : set of str or None
        What the scanner noted of the fieldmaps that correct the run.

    Raises
    ------
    MetadataError
        When the images of the run disagree.
    """
    if run.refusal:
        return False, run.refusal
    images = [*run.images, *(row for rows in run.sbref.values() for row in rows)]
    noted = {row["gradient_correction"] or "ND": row["path"] for row in images}
    if len(noted) > 1:
        first, second = sorted(noted)[:2]
        message = (
            f"{run.stem}: ImageType of {noted[first]} says {first}, that of {noted[second]} says "
            f"{second} or nothing. The warp of `gradient_nonlinearity` fits a run whose images are "
            "all corrected by the scanner, or none: correct the sidecars, or leave images out."
        )
        raise MetadataError(message)
    own = run.first["gradient_correction"]
    if own in _CORRECTED:
        return False, _CORRECTED[own]
    notes = [] if own else ["ImageType says neither ND nor DIS: the warp is applied"]
    others = sorted((fieldmap_noted - {None}) & set(_CORRECTED))
    if others:
        notes.append(
            f"the fieldmap is corrected by the scanner ({', '.join(others)}), the run is not: the "
            "field is placed with the accuracy of the gradient nonlinearity"
        )
    return True, "; ".join(notes)
