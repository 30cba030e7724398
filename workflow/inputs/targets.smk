"""What the target rules ask for, as the plan decides."""

# Maps of a session that are taken to a template as well.
FIT_MAPS, CEILING_MAPS = ("r2", "fracridge"), ("nc", "ncsnr")
# Files of `glm.write`, by what asks for them.
ON_REQUEST = {
    "images": {
        "images": "space-<space>_stat-effect_desc-ImageBetas_statmap.nii.gz",
        "images_table": "desc-ImageBetas_images.tsv",
    },
    "zscored_run": {
        "zscored_run": "space-<space>_stat-effect_desc-SingletrialBetasZscoredRun_statmap.nii.gz"
    },
    "zscored_session": {
        "zscored_session": "space-<space>_stat-effect_desc-SingletrialBetasZscoredSession_statmap.nii.gz"
    },
}


def whole_plan():
    """Plan of this call, with that of what its labels leave out and an earlier one planned."""
    path = Path(config["output_dir"], "plan.tsv")
    if not is_restricted(config) or not path.exists():
        return run_plan
    return with_others(run_plan, read_tsv(path))


def finished_elsewhere(kind):
    """Comparisons of sessions that the labels of this call leave out, ``metrics`` for instance.

    Products over subjects would otherwise shrink to what a call is restricted to.
    """
    if not is_restricted(config):
        return []
    folder = Path(config["output_dir"], "comparison")
    names = folder.glob(f"sub-*/**/func/*_desc-variants_{kind}.tsv")
    own = {f"{group}_desc-variants_{kind}.tsv" for group in products.compared()}
    return sorted(as_named(path) for path in names if path.name not in own)


def as_named(path):
    """Name of a product as rules have it, without the prefix of a module."""
    return str(Path(OUT, Path(path).relative_to(config["output_dir"])))


def anatomy_targets(wildcards):
    subjects = [sub for sub in runs.subjects if runs.anatomy(sub, "T1w")]
    targets = collect(rules.anat.output, sub=subjects)
    with_t2w = [sub for sub in subjects if runs.anatomy(sub, "T2w")]
    targets += collect(rules.t2w.output.t2w, sub=with_t2w)
    known = [sub for sub in subjects if runs.mp2rage_protocol(sub)]
    targets += collect(rules.mp2rage_t1.output.t1map, sub=known)
    for stem, one in runs.megre.items():
        names = {"folder": one.folder, "megre": stem}
        targets += expand(rules.megre.output.t2star, **names)
        if one.has_field:
            targets += expand(rules.megre_field.output.field, **names)
    for sub in subjects:
        if template := runs.template_of(sub):
            names = {"sub": sub, "template": template}
            targets += collect(rules.template.output, **names)
            targets += collect(rules.template_morphometry.output, **names)
    return targets


def anatomy_table():
    """Write the table of all scans of the dataset, at the end of a call that did something."""
    if not workflow.is_main_process:
        return
    from mebold.anat import measures
    from mebold.files import measures_table

    rows = [row for row in whole_plan().to_dict("records") if row["stage"] == "anat"]
    measures_table.collect(
        Path(config["output_dir"], "anatomical"),
        [row["stem"] for row in rows if row["planned"]],
        logs={
            row["stem"]: str(WORK / "logs" / "anat" / f"{row['stem']}.log")
            for row in rows
        },
        left_out={row["stem"]: row["reason"] for row in rows if not row["planned"]},
        units=measures.MEASURES,
    )


def preprocessing_targets(wildcards):
    """BOLD images in T1w space and their confounds; head motion where there is no T1w."""
    targets = [
        of_run(rules.hmc.output.motion, stem) for stem in runs.stems_without_anatomy()
    ]
    for stem in runs.stems():
        for variant in products.written_bold(stem):
            echoes = VARIANTS[variant][1]
            name = datasets(variant)[0]
            targets.append(of_run(written_bold(echoes).output.bold, stem, dataset=name))
            targets.append(of_run(rules.confounds.output.table, stem, dataset=name))
            targets.append(of_run(rules.report_run.output.info, stem, dataset=name))
        targets += [
            of_run(rules.ica_tables.output.outcome, stem, dataset=name)
            for name in products.decomposed(stem)
        ]
        for name, echo in products.written_echoes(stem):
            targets.append(
                of_run(rules.bold_echo.output.bold, stem, dataset=name, echo=echo)
            )
    pooled = {(runs.pooled_with(s), runs.folder(s)) for s in products.combined()}
    for name, folder in sorted(pooled):
        decay = expand(rules.decay.output.t2star, pooled=name, folder=folder)
        targets += on_surfaces(decay)
    shown = {stem.split("_")[0] for stem in runs.stems() if products.written_bold(stem)}
    targets += collect(rules.report_anatomy.output.figure, sub=sorted(shown))
    # What NORDIC lets through is said of the echo that the variants of one echo rest on.
    for stem in products.denoised():
        run = runs.runs[stem]
        echo = run.echo_entities[run.single_echo]
        targets.append(of_run(rules.nordic_survival.output.shared, stem, echo=echo))
    return targets


def single_trial_targets(wildcards):
    """Noise ceilings and ROI tables where images repeat, betas where they do not."""
    targets, maps, betas = [], [], []
    for group in runs.groups():
        names = [datasets(variant)[1] for variant in products.variants(group)]
        of_group = {"glm": names, "group": group, "folder": runs.group_folder(group)}
        last = rules.singletrial.output.betas
        # On surfaces only the mean over trials.
        mean = last.replace("desc-SingletrialBetas", "desc-MeanBetas")
        betas += expand(mean, **of_group)
        maps += collect([rules.singletrial.output[m] for m in FIT_MAPS], **of_group)
        if group in runs.planned["noiseceiling"]:
            last = rules.noiseceiling_session.output.nc
            made, part = rules.noiseceiling_session, rules.noiseceiling_session_part
            maps += collect([made.output[m] for m in CEILING_MAPS], **of_group)
            own = datasets(products.primary(runs.glm_stems(group)[0]))[1]
            page = rules.report_viewer.output.page
            targets += expand(page, **of_group | {"glm": [own] if own in names else []})
            if "DifferentRuns" in products.ceilings([group]):
                parts = expand(part.output.nc, part="DifferentRuns", **of_group)
                targets += parts
                maps += parts
        targets += expand(last, **of_group)
    for subtask, groups in runs.subject_tasks().items():
        names = {"sub": subtask.split("_")[0], "subtask": subtask}
        fits = [datasets(v)[1] for v in products.across_sessions(groups)]
        if len(groups) > 1:
            together = rules.singletrial_subject.output.model
            targets += expand(together, glm=fits, **names)
        if not runs.planned["across_sessions"].intersection(groups):
            continue
        made = rules.noiseceiling_subject.output
        targets += expand(made.summary, glm=fits, **names)
        page = rules.report_viewer_subject.output.page
        targets += expand(page, glm=fits[:1], **names)  # the primary one
        maps += collect([made.nc, made.ncsnr, made.r2mean], glm=fits, **names)
        chosen_parts = products.ceilings(groups)
        part = rules.noiseceiling_subject_part.output.nc
        parts = expand(part, glm=fits, part=chosen_parts, **names)
        targets += parts
        maps += parts
        targets += expand(rules.rois.output.table, **names)
        if "fsaverage5" in region_surfaces.spaces(config["rois"], names["sub"], runs):
            targets += expand(rules.surface_figure.output, glm=fits, **names)
    return targets + in_template(maps) + on_surfaces(maps + betas)


def region_targets(wildcards):
    """Maps of localizers, and masks of regions of every subject whose runs reach the grid."""
    subjects = [sub for sub in runs.subjects if runs.stems(sub=sub)]
    fitted = [(subtask.split("_")[0], subtask) for subtask in localizers.tasks()]
    maps = rules.localizer_maps.output.table
    targets = [expand(maps, sub=sub, subtask=name)[0] for sub, name in fitted]
    if has_given_regions():
        targets += collect(rules.roi_masks.output.table, sub=subjects)
    return targets


def in_template(maps):
    """Names of maps in the template that `output.maps_space` asks for; none without."""
    if not config["output"]["maps_space"]:
        return []
    ends = f"_space-{runs.space}_", f"_space-{runs.template}_"
    return [as_named(path).replace(*ends) for path in maps]


def comparison_targets(wildcards):
    """Comparison of the variants over all compared sessions, each task by itself."""
    return collect(rules.compare_task.output, task=products.compared_tasks())


def written_on_request():
    """Outputs of a fit that `glm.write` asks for."""
    asked = [ON_REQUEST[k] for k in config["glm"]["write"] if k in ON_REQUEST]
    folder = "<out>/{glm}/{folder}/func/{group}_"
    return {key: folder + name for names in asked for key, name in names.items()}
