"""Input functions: series of a variant, groups of runs for the fits and the comparison."""

# Stores go when their last reader has run, unless they are to be kept.
kept_series = str if config["keep_series"] else temp


def echoes_of_level(wildcards):
    stem = wildcards.stem
    if wildcards.thermal == "standard":
        return not_made(runs.fetched(runs.images(stem, "bold")))
    return [
        of_run(rules.nordic.output.magnitude, stem, echo=echo)
        for echo in runs.runs[stem].echo_entities
    ]


def decay_summaries(wildcards):
    stems = runs.pooled_stems(wildcards.pooled)
    return [
        of_run(rules.series.output.summary, stem, thermal="standard") for stem in stems
    ]


def decay_of_run(wildcards):
    pooled = runs.pooled_with(wildcards.stem)
    return filled(rules.decay.output.fit, pooled=pooled, folder=wildcards.folder)


def variant_series(stem, variant):
    """Masked series of a variant; one echo of the store for the single-echo variants."""
    thermal, echoes = VARIANTS[variant]
    made_by = {"single": rules.series, "optcom": rules.optcom, "ica": rules.ica}[echoes]
    return of_run(made_by.output.store, stem, thermal=thermal)


def series_of_variant(wildcards):
    return variant_series(wildcards.stem, variant_of(wildcards.dataset))


def of_level(output):
    """Input function: an output of `series`, of the thermal level of a variant."""

    def function(wildcards):
        thermal, _ = VARIANTS[variant_of(wildcards.dataset)]
        return of_run(output, wildcards.stem, thermal=thermal)

    return function


def group_series(wildcards):
    stems = runs.glm_stems(wildcards.group)
    return [variant_series(stem, variant_of(wildcards.glm)) for stem in stems]


def of_group_level(output):
    """Input function: an output of `series` for the runs of a group, of a variant's level."""

    def function(wildcards):
        thermal, _ = VARIANTS[variant_of(wildcards.glm)]
        stems = runs.glm_stems(wildcards.group)
        return [of_run(output, stem, thermal=thermal) for stem in stems]

    return function


def ica_outcome(wildcards):
    thermal = VARIANTS[variant_of(wildcards.dataset)][0]
    return of_run(rules.ica.output.info, wildcards.stem, thermal=thermal)


def group_ica_outcomes(wildcards):
    """Outcomes of ICA of the runs of a group; none for the other variants."""
    thermal, echoes = VARIANTS[variant_of(wildcards.glm)]
    stems = runs.glm_stems(wildcards.group) if echoes == "ica" else []
    return [of_run(rules.ica.output.info, stem, thermal=thermal) for stem in stems]


def group_events(wildcards):
    stems = runs.glm_stems(wildcards.group)
    return not_made([runs.path(runs.row(stem)["events"]) for stem in stems])


def group_events_sidecars(wildcards):
    """Sidecars of the events of a group's runs, the most general first."""
    stems = runs.glm_stems(wildcards.group)
    found = [path for stem in stems for path in runs.row(stem)["events_sidecars"] or ()]
    return not_made([runs.path(path) for path in dict.fromkeys(found)])


def written_bold(echoes):
    """Rule that writes the BOLD image of a kind of variant."""
    made_by = {"single": "bold_single", "optcom": "bold_optcom", "ica": "bold_ica"}
    return getattr(rules, made_by[echoes])


def fitted_images(wildcards):
    """Images that show what a fit is made of: its BOLD where that is written, else as acquired."""
    variant = variant_of(wildcards.glm)
    name, echoes = datasets(variant)[0], VARIANTS[variant][1]
    found = []
    for stem in runs.glm_stems(wildcards.group):
        if variant in products.written_bold(stem):
            found.append(of_run(written_bold(echoes).output.bold, stem, dataset=name))
        else:
            found += parameters.raw_of_run(stem, name)
    return found


def group_confounds(wildcards):
    """Confound tables of the variant that is fitted; none unless the fit asks for some."""
    stems = runs.glm_stems(wildcards.group) if config["glm"]["confounds"] else []
    name = datasets(variant_of(wildcards.glm))[0]
    return [of_run(rules.confounds.output.table, stem, dataset=name) for stem in stems]


def of_group_variants(output):
    """Input function: a per-variant output for all variants of a group."""

    def function(wildcards):
        names = [datasets(variant)[1] for variant in products.variants(wildcards.group)]
        return collect(
            output, glm=names, group=wildcards.group, folder=wildcards.folder
        )

    return function


def of_groups(output, groups, **names):
    """An output of each of some groups, with more names that it asks for."""
    return [
        f
        for g in groups
        for f in expand(output, group=g, folder=runs.group_folder(g), **names)
    ]


def of_compared_groups(output):
    """Input function: an output for every group in which variants are compared."""

    def function(wildcards):
        return of_groups(output, products.compared())

    return function


def regions_of_task(wildcards):
    """Regions in which the variants of a task are compared, one per session."""
    groups = products.compared_in(wildcards.task)
    return of_groups(rules.compare.output.roi, groups)


def of_subject_task(output):
    """Input function: a per-session output for all sessions of a subject's task."""

    def function(wildcards):
        groups = runs.subject_tasks()[wildcards.subtask]
        return of_groups(output, groups, glm=wildcards.glm)

    return function


def visual_roi_file(wildcards):
    """Region of the comparison where the configuration names a file."""
    source = config["visual_roi"]["source"]
    return not_made([source] if Path(source).is_file() else [])
