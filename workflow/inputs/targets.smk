"""What the target rules ask for, as the plan decides."""


def anatomy_targets(wildcards):
    subjects = [sub for sub in runs.subjects if runs.anatomy(sub, "T1w")]
    targets = collect(rules.anat.output, sub=subjects)
    if runs.grid_kind == "template":
        targets += collect(rules.template.output, sub=subjects)
    return targets


def preprocessing_targets(wildcards):
    """BOLD images in T1w space and their confounds; head motion where there is no T1w."""
    targets = [
        of_run(rules.hmc.output.motion, stem) for stem in runs.stems_without_anatomy()
    ]
    for stem in runs.stems():
        for variant in products.written_bold(stem):
            echoes = VARIANTS[variant][1]
            written = {
                "single": rules.bold_single,
                "optcom": rules.bold_optcom,
                "ica": rules.bold_ica,
            }
            name = datasets(variant)[0]
            targets.append(of_run(written[echoes].output.bold, stem, dataset=name))
            targets.append(of_run(rules.confounds.output.table, stem, dataset=name))
        for name, echo in products.written_echoes(stem):
            targets.append(
                of_run(rules.bold_echo.output.bold, stem, dataset=name, echo=echo)
            )
    return targets


def single_trial_targets(wildcards):
    """Noise ceilings and ROI tables where images repeat, betas where they do not."""
    targets = []
    for group in runs.groups():
        names = [datasets(variant)[1] for variant in products.variants(group)]
        folder = runs.group_folder(group)
        last = rules.singletrial.output.betas
        if group in runs.planned["noiseceiling"]:
            last = rules.noiseceiling_session.output.nc
        targets += expand(last, glm=names, group=group, folder=folder)
    for subtask, groups in runs.subject_tasks().items():
        if not runs.planned["across_sessions"].intersection(groups):
            continue
        names = {"sub": subtask.split("_")[0], "subtask": subtask}
        primary = datasets(products.primary(runs.glm_stems(groups[0])[0]))[1]
        targets += expand(
            rules.noiseceiling_subject.output.summary, glm=primary, **names
        )
        targets += expand(rules.rois.output.table, **names)
    return targets


def comparison_targets(wildcards):
    """Comparison of the variants over all compared sessions."""
    return rules.comparison.output if products.compared() else []
