"""Plan of the distortion correction: which runs get a field, and which one that changes."""

from mebold.inventory_fieldmaps import USABLE
from mebold.inventory_runs import Run
from mebold.plan_anatomy import Decision


def field_decision(run: Run) -> Decision:
    """Decide whether a run is corrected with a fieldmap, and say which or why not."""
    row = run.first
    if run.refusal:
        return False, run.refusal
    if not row["fieldmaps"]:
        return False, "no fieldmap: no distortion correction"
    if row["fieldmap_kind"] not in USABLE:
        return False, (
            f"the EPI images of the fieldmap {row['fieldmap']} do not encode two opposite "
            "directions (PhaseEncodingDirection, TotalReadoutTime): no distortion correction"
        )
    for column, key in (
        ("phase_encoding_direction", "PhaseEncodingDirection"),
        ("total_readout_time", "TotalReadoutTime or EffectiveEchoSpacing"),
    ):
        if row[column] is None:
            return False, f"no {key} in the sidecar: no distortion correction"
    return True, f"{', '.join(sorted(row['fieldmaps']))}: {row['fieldmap_by']}"


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
