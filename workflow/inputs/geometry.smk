"""Input functions: references, fields, motion and alignments. File names come from the rules."""

import functools


def subject(wildcards):
    """Subject of a session, run, group or subject."""
    names = dict(wildcards.items())
    return (names.get("sub") or names["folder"]).split("/")[0]


@functools.cache
def filled(output, **wildcards):
    """Name of a rule's output; the jobs of a run ask for the same ones again and again."""
    return expand(output, **wildcards)[0]


def of_run(output, stem, **wildcards):
    """Name of a rule's output for one run."""
    return filled(output, stem=stem, folder=runs.folder(stem), **wildcards)


def corrected_boldref(stem):
    """Reference image of a run, corrected with its warp and field where there are any."""
    if runs.warp(stem):
        return of_run(rules.gradunwarp.output.boldref, stem)
    made_by = rules.sdc if runs.has_field(stem) else rules.hmc
    return of_run(made_by.output.boldref, stem)


def boldref_mask(stem):
    """Brain mask of a run, in the true geometry where there is a warp."""
    made_by = rules.gradunwarp if runs.warp(stem) else rules.hmc
    return of_run(made_by.output.mask, stem)


def run_boldref_mask(wildcards):
    return boldref_mask(wildcards.stem)


def run_warp(wildcards):
    return not_made(runs.warp(wildcards.stem) or [])


def run_boldref(wildcards):
    return corrected_boldref(wildcards.stem)


def session_boldref(wildcards):
    return corrected_boldref(runs.session_reference(wildcards.folder))


def subject_boldref(wildcards):
    return corrected_boldref(runs.subject_reference(subject(wildcards)))


def session_boldref_mask(wildcards):
    return boldref_mask(runs.session_reference(wildcards.folder))


def subject_boldref_mask(wildcards):
    return boldref_mask(runs.subject_reference(subject(wildcards)))


def t1w_boldref(wildcards):
    return corrected_boldref(runs.subject_reference(wildcards.sub))


def run_field(wildcards):
    if not runs.has_field(wildcards.stem):
        return []
    return of_run(rules.sdc.output.field, wildcards.stem)


def run_motion(wildcards):
    """Head motion of a run, estimated anew where the change of its field is undone."""
    dynamic = runs.has_changing_field(wildcards.stem)
    made_by = rules.sdc_dynamic if dynamic else rules.hmc
    return of_run(made_by.output.motion, wildcards.stem)


def run_native_field(wildcards):
    """Field of every volume where another program has made it."""
    if config["sdc"] != "medic":
        return []
    return of_run(rules.sdc.output.native, wildcards.stem)


def run_field_change(wildcards):
    if not runs.has_changing_field(wildcards.stem):
        return []
    return of_run(rules.sdc_dynamic.output.change, wildcards.stem)


def reference_mask(wildcards):
    return boldref_mask(runs.subject_reference(wildcards.sub))


def anatomy_in_boldref(wildcards):
    """Brain and tissue of the T1w and the way to them, for a grid that is not the T1w's."""
    if wildcards.sub not in runs.planned["anat"]:
        return {}
    names = {
        "xfm": rules.coreg_subject.output.xfm,
        "brain": rules.anat.output.mask,
        "dseg": rules.anat.output.dseg,
    }
    return {key: expand(output, sub=wildcards.sub)[0] for key, output in names.items()}


def anchor(wildcards):
    """The image that all alignments of a subject lead to, its mask, and the way there."""
    if runs.anchor != "T1w":
        return {
            "anchor": subject_boldref(wildcards),
            "anchor_mask": subject_boldref_mask(wildcards),
        }
    return {
        "anchor": of_subject(rules.anat.output.t1w)(wildcards),
        "anchor_mask": of_subject(rules.anat.output.mask)(wildcards),
    }


def tissue_of_anchor(wildcards):
    """Tissue classes of the T1w where alignments lead to it."""
    if runs.anchor != "T1w":
        return []
    return of_subject(rules.anat.output.dseg)(wildcards)


def subject_to_anchor(wildcards):
    if runs.anchor != "T1w":
        return []
    return of_subject(rules.coreg_subject.output.xfm)(wildcards)


def sign_check(wildcards):
    """What the sign of a run's field is checked with; nothing without a field or a T1w."""
    wanted = config["fmap"]["sign_check"] and runs.anchor == "T1w"
    if not (wanted and runs.has_field(wildcards.stem)):
        return {}
    return {
        "field": run_field(wildcards),
        "distorted": of_run(rules.hmc.output.boldref, wildcards.stem),
        "warp": run_warp(wildcards),
    }


def template_files(wildcards):
    """Template of a subject; nothing for the one that comes with nilearn."""
    files = TEMPLATES.get(runs.template_identifier(wildcards.sub), {})
    return {name: not_made(file) for name, file in files.items()}


def template_reference(wildcards):
    """What a template is, for sidecars."""
    files = TEMPLATES.get(runs.template_identifier(wildcards.sub), {})
    file = files.get("template")
    return metadata.spatial_reference_of(runs.template_of(wildcards.sub), file)


def grid_displacement(wildcards):
    """From the output grid to the T1w, where the grid is that of a template."""
    if runs.grid_kind != "template":
        return []
    return of_subject(rules.grid.output.displacement)(wildcards)


def of_subject(output):
    """Input function: a rule's output for the subject of a session, run or group."""

    def function(wildcards):
        sub = subject(wildcards)
        return filled(output, sub=sub, template=runs.template_of(sub))

    return function


def of_session(output):
    """Input function: a per-session output for the session of a run."""

    def function(wildcards):
        ses = "_".join(Path(wildcards.folder).parts)
        return filled(output, folder=wildcards.folder, ses=ses)

    return function


def of_field(output):
    """Input function: the field of a run, which may have been measured in another session."""

    def function(wildcards):
        folder = runs.row(wildcards.stem)["fieldmap_folder"]
        return filled(output, folder=folder, ses="_".join(Path(folder).parts))

    return function
