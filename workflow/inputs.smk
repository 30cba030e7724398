"""Input functions: what the run table says a job reads. File names come from the rules."""


def raw_magnitude(wildcards):
    return runs.bold(wildcards.stem)


def raw_phase(wildcards):
    return runs.bold(wildcards.stem, "phase")


def raw_norf(wildcards):
    return runs.norf(wildcards.stem) + runs.norf(wildcards.stem, "phase")


def raw_echo(suffix, *parts):
    """Input function: images of one echo of a run; nothing for parts that it does not have."""

    def function(wildcards):
        stem, echo = wildcards.stem, wildcards.echo
        return [f for part in parts for f in runs.of_echo(stem, echo, suffix, part)]

    return function


def noise_map(wildcards):
    """Noise map of a run: the user's, or the one that its echoes share."""
    template = config["nordic"]["noise_map"]
    if template:
        echo = wildcards.echo.removeprefix("_echo-")
        return [
            template.format(stem=wildcards.stem, folder=wildcards.folder, echo=echo)
        ]
    if runs.shares_gfactor(wildcards.stem):
        return [of_run(rules.nordic_gfactor.output.gfactor, wildcards.stem)]
    return []


def raw_sbref(wildcards):
    return runs.sbref(wildcards.stem)


def raw_t1w(wildcards):
    return runs.anatomy(wildcards.sub, "T1w") or runs.anatomy(wildcards.sub, "UNIT1")


def raw_t2w(wildcards):
    return runs.anatomy(wildcards.sub, "T2w") or []


def raw_fieldmaps(wildcards):
    return [runs.path(row["path"]) for row in runs.fieldmap_rows(wildcards.folder)]


def of_run(rule_output, stem, **wildcards):
    """Name of a rule's output for one run."""
    return expand(rule_output, stem=stem, folder=runs.folder(stem), **wildcards)[0]


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
    return runs.warp(wildcards.stem) or []


def run_boldref(wildcards):
    return corrected_boldref(wildcards.stem)


def session_boldref(wildcards):
    return corrected_boldref(runs.session_reference(wildcards.folder))


def subject_boldref(wildcards):
    return corrected_boldref(runs.subject_reference(wildcards.folder.split("/")[0]))


def session_boldref_mask(wildcards):
    return boldref_mask(runs.session_reference(wildcards.folder))


def subject_boldref_mask(wildcards):
    return boldref_mask(runs.subject_reference(wildcards.folder.split("/")[0]))


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
    sub = wildcards.folder.split("/")[0]
    return {
        "anchor": expand(rules.anat.output.t1w, sub=sub)[0],
        "anchor_mask": expand(rules.anat.output.mask, sub=sub)[0],
    }


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
    """Template of the configuration; nothing for the one that comes with nilearn."""
    chosen = config["template"]
    if not chosen["image"]:
        return {}
    return {"template": chosen["image"], "template_mask": chosen["mask"]}


def grid_displacement(wildcards):
    """From the output grid to the T1w, where the grid is that of a template."""
    if runs.grid_kind != "template":
        return []
    return of_subject(rules.grid.output.displacement)(wildcards)


def of_subject(output):
    """Input function: a rule's output for the subject of a session, run or group."""

    def function(wildcards):
        names = dict(wildcards.items())
        name = names.get("sub") or names["folder"]
        return expand(output, sub=name.split("/")[0])[0]

    return function


def echoes_of_level(wildcards):
    stem = wildcards.stem
    if wildcards.thermal == "standard":
        return runs.bold(stem)
    return [
        of_run(rules.nordic.output.magnitude, stem, echo=echo)
        for echo in runs.echo_entities(stem)
    ]


def decay_summaries(wildcards):
    stems = runs.pooled_stems(wildcards.pooled)
    return [
        of_run(rules.series.output.summary, stem, thermal="standard") for stem in stems
    ]


def decay_of_run(wildcards):
    pooled = runs.pooled_with(wildcards.stem)
    return expand(rules.decay.output.fit, pooled=pooled, folder=wildcards.folder)[0]


def variant_series(stem, variant):
    """Masked series of a variant; one echo of the store for the single-echo variants."""
    thermal, echoes = VARIANTS[variant]
    made_by = {"single": rules.series, "optcom": rules.optcom, "ica": rules.ica}[echoes]
    return of_run(made_by.output.store, stem, thermal=thermal)


def series_of_variant(wildcards):
    return variant_series(wildcards.stem, variant_of(wildcards.dataset))


def samples_of_variant(wildcards):
    thermal, _ = VARIANTS[variant_of(wildcards.dataset)]
    return of_run(rules.series.output.samples, wildcards.stem, thermal=thermal)


def group_series(wildcards):
    stems = runs.glm_stems(wildcards.group)
    return [variant_series(stem, variant_of(wildcards.glm)) for stem in stems]


def ica_outcome(wildcards):
    thermal = VARIANTS[variant_of(wildcards.dataset)][0]
    return of_run(rules.ica.output.info, wildcards.stem, thermal=thermal)


def group_ica_outcomes(wildcards):
    """Outcomes of ICA of the runs of a group; none for the other variants."""
    thermal, echoes = VARIANTS[variant_of(wildcards.glm)]
    stems = runs.glm_stems(wildcards.group) if echoes == "ica" else []
    return [of_run(rules.ica.output.info, stem, thermal=thermal) for stem in stems]


def group_events(wildcards):
    return [
        runs.path(runs.row(stem)["events"]) for stem in runs.glm_stems(wildcards.group)
    ]


def of_group_variants(output):
    """Input function: a per-variant output for all variants of a group."""

    def function(wildcards):
        names = [datasets(variant)[1] for variant in runs.variants(wildcards.group)]
        return collect(
            output, glm=names, group=wildcards.group, folder=wildcards.folder
        )

    return function


def of_compared_groups(output):
    """Input function: an output for every group in which variants are compared."""

    def function(wildcards):
        groups = [g for g in runs.groups() if len(runs.variants(g)) > 1]
        return [
            f
            for g in groups
            for f in expand(output, group=g, folder=runs.group_folder(g))
        ]

    return function


def of_subject_task(output):
    """Input function: a per-session output for all sessions of a subject's task."""

    def function(wildcards):
        groups = runs.subject_tasks()[wildcards.subtask]
        return [
            f
            for g in groups
            for f in expand(
                output, group=g, folder=runs.group_folder(g), glm=wildcards.glm
            )
        ]

    return function


def anatomy_targets(wildcards):
    subjects = [
        s for s in runs.subjects if runs.anatomy(s, "T1w") or runs.anatomy(s, "UNIT1")
    ]
    targets = collect(rules.anat.output, sub=subjects)
    if runs.grid_kind == "template":
        targets += collect(rules.template.output, sub=subjects)
    return targets


def of_session(output):
    """Input function: a per-session output for the session of a run."""

    def function(wildcards):
        ses = "_".join(Path(wildcards.folder).parts)
        return expand(output, folder=wildcards.folder, ses=ses)[0]

    return function


def of_field(output):
    """Input function: the field of a run, which may have been measured in another session."""

    def function(wildcards):
        folder = runs.row(wildcards.stem)["fieldmap_folder"]
        return expand(output, folder=folder, ses="_".join(Path(folder).parts))[0]

    return function


def roi_maps(wildcards):
    """Noise-ceiling maps that the ROI table of a subject summarises."""
    groups = runs.subject_tasks()[wildcards.subtask]
    maps = []
    for group in [g for g in groups if g in runs.planned["noiseceiling"]]:
        names = [datasets(variant)[1] for variant in runs.variants(group)]
        folder = runs.group_folder(group)
        maps += expand(
            rules.noiseceiling_session.output.nc, glm=names, group=group, folder=folder
        )
    primary = datasets(runs.primary(runs.glm_stems(groups[0])[0]))[1]
    subject = rules.noiseceiling_subject.output.groups
    return maps + expand(
        subject, glm=primary, sub=wildcards.sub, subtask=wildcards.subtask
    )


def roi_masks(wildcards):
    """Derived region of the compared sessions; masks of the user come from the ROI list."""
    groups = [
        g for g in runs.subject_tasks()[wildcards.subtask] if len(runs.variants(g)) > 1
    ]
    roi = rules.compare.output.roi
    return [
        f for g in groups for f in expand(roi, group=g, folder=runs.group_folder(g))
    ]


def preprocessing_targets(wildcards):
    """BOLD images in T1w space and their confounds; head motion where there is no T1w."""
    targets = [
        of_run(rules.hmc.output.motion, stem) for stem in runs.stems_without_anatomy()
    ]
    for stem in runs.stems():
        for variant in runs.written_bold(stem):
            echoes = VARIANTS[variant][1]
            written = {
                "single": rules.bold_single,
                "optcom": rules.bold_optcom,
                "ica": rules.bold_ica,
            }
            name = datasets(variant)[0]
            targets.append(of_run(written[echoes].output.bold, stem, dataset=name))
            targets.append(of_run(rules.confounds.output.table, stem, dataset=name))
    return targets


def single_trial_targets(wildcards):
    """Noise ceilings and ROI tables where images repeat, betas where they do not."""
    targets = []
    for group in runs.groups():
        names = [datasets(variant)[1] for variant in runs.variants(group)]
        folder = runs.group_folder(group)
        last = rules.singletrial.output.betas
        if group in runs.planned["noiseceiling"]:
            last = rules.noiseceiling_session.output.nc
        targets += expand(last, glm=names, group=group, folder=folder)
    for subtask, groups in runs.subject_tasks().items():
        if not runs.planned["across_sessions"].intersection(groups):
            continue
        names = {"sub": subtask.split("_")[0], "subtask": subtask}
        primary = datasets(runs.primary(runs.glm_stems(groups[0])[0]))[1]
        targets += expand(
            rules.noiseceiling_subject.output.summary, glm=primary, **names
        )
        targets += expand(rules.rois.output.table, **names)
    return targets


def comparison_targets(wildcards):
    """Comparison of the variants over all compared sessions."""
    compared = any(len(runs.variants(group)) > 1 for group in runs.groups())
    return rules.comparison.output if compared else []
