"""Input functions: images that give regions, and maps, fits and comparisons for their tables."""

# Keys of `rois` that decide what the tables and the regions of the data are.
ROI_KEYS = "expressions", "best", "derived", "reliable", "missing"
TABLE_KEYS = "thresholds", "n_bootstrap"


def given_regions(sub):
    """Images that give the regions of a subject: those of others rerun nothing."""
    return regions.find(
        config["rois"],
        listed_rois,
        sub=sub,
        space=runs.space,
        template=runs.template_of(sub),
        voxel_mm=parameters.output_voxel_mm(sub),
    )


def region_files(wildcards):
    """Images and lookup tables of given regions; the job tells of one that is not there."""
    return not_made(regions.files(given_regions(wildcards.sub)))


def found_in_contrasts(sub):
    """Regions that are found in maps of contrasts, with the map or the fit of the subject."""
    maps = rules.localizer_maps.output.maps
    made = {}
    if is_restricted(config):
        # Those of tasks that this call leaves out stay, as far as they are there.
        for name, fit in finished_localizers(config["output_dir"], sub).items():
            path = expand(maps, sub=sub, subtask=name)[0]
            made |= {path: fit} if Path(path).is_file() else {}
    for name, fit in localizers.fits(sub).items():
        made[expand(maps, sub=sub, subtask=name)[0]] = fit
    return regions.find_localizers(config["rois"], sub, made)


def contrast_files(wildcards):
    """Maps of contrasts of other programs, and those that are fitted here, each once."""
    found = found_in_contrasts(wildcards.sub)
    given = sorted({item["path"] for item in found if not item["fitted"]})
    maps, fits = rules.localizer_maps.output.maps, localizers.fits(wildcards.sub)
    made = {expand(maps, sub=wildcards.sub, subtask=name)[0] for name in fits}
    used = {item["path"] for item in found if item["fitted"]}
    return [*not_made(given), *sorted(made & used)]


def of_localizer_runs(kind):
    """Input function: an output of the rule that wrote the BOLD of each run, or its confounds."""

    def function(wildcards):
        found = []
        for stem in localizers.stems(wildcards.group):
            variant = products.primary(stem)
            made_by = written_bold(VARIANTS[variant][1])
            made_by = rules.confounds if kind == "table" else made_by
            output = getattr(made_by.output, kind)
            found.append(of_run(output, stem, dataset=datasets(variant)[0]))
        return found

    return function


def localizer_events(wildcards):
    """Events of the runs of a localizer."""
    stems = localizers.stems(wildcards.group)
    return not_made([runs.path(runs.row(stem)["events"]) for stem in stems])


def localizer_runs(group):
    """What the fit of a localizer has to know of its runs."""
    keys = "stem", "tr_out", "slice_timing", "acquired_slice_timing"
    return [parameters.of_run(stem, *keys) for stem in localizers.stems(group)]


def of_localizer_sessions(output):
    """Input function: a per-session output of a subject's localizer task."""

    def function(wildcards):
        return of_groups(output, localizers.tasks()[wildcards.subtask])

    return function


def visual_names(sub):
    """Names and categories by which the list of regions asks for that of the comparison."""
    return regions.visual(listed_rois, sub)


def later_names(sub):
    """Names of regions that expressions may hold and that the data give later."""
    return regions.of_data(config["rois"], listed_rois, sub)


def to_other_spaces(wildcards):
    """Ways from the output grid to the T1w and to the template, for images that lie there."""
    if runs.grid_kind == "template":
        return {"to_t1w": of_subject(rules.grid.output.displacement)(wildcards)}
    if not config["rois"]["atlas"]:
        return {}
    return {"to_template": of_subject(rules.template.output.to_template)(wildcards)}


def has_given_regions():
    """Whether any region comes from an image."""
    rows = [] if listed_rois is None else listed_rois.to_dict("records")
    listed = any(row.get("source") != "visual" for row in rows)
    return regions.are_given(config["rois"], listed=listed)


def surfaces_of(name, sub):
    """A surface of both hemispheres of a subject; none without its FreeSurfer folder."""
    return not_made(region_surfaces.files(config["rois"], sub, name))


def surfaces_of_regions(name):
    """Input function: a surface of both hemispheres, where regions lie on it."""

    def function(wildcards):
        if not region_surfaces.are_asked(config["rois"]["surface"]):
            return []
        return surfaces_of(name, wildcards.sub)

    return function


def surfaces_of_maps(wildcards):
    """Surfaces on which maps are read, and the spheres that lead from one to another."""
    asked, sub, space = config["rois"], wildcards.sub, wildcards.surface
    if not region_surfaces.folder(asked, sub):
        return {"to_t1w": of_subject(rules.template.output.to_t1w)(wildcards)}
    found = {name: surfaces_of(name, sub) for name in ("white", "pial")}
    if space != "fsnative":
        found["sphere"] = surfaces_of("sphere.reg", sub)
    if space == "fsaverage":
        found["target"] = not_made(region_surfaces.average_spheres(asked, sub))
    return found


def on_surfaces(maps):
    """Names of maps on the surfaces that `rois.surface.spaces` asks for."""
    return [
        as_named(path)
        .replace(f"_space-{runs.space}_", f"_hemi-{hemi}_space-{space}_")
        .replace(".nii.gz", ".func.gii")
        for path in maps
        for space in region_surfaces.spaces(config["rois"], subject_of(path), runs)
        for hemi in "LR"
    ]


def subject_of(path):
    """Subject whose product a file is."""
    return Path(path).relative_to(config["output_dir"]).parts[1]


def given_masks(wildcards):
    """Given regions of a subject on the output grid; none where there are none."""
    if not has_given_regions():
        return []
    return [of_subject(rules.roi_masks.output.masks)(wildcards)]


def older_masks(sub):
    """Folder of the masks for the older client of the reference dataset, empty without."""
    if not config["rois"]["older_layout"]:
        return ""
    return str(Path(config["output_dir"], "atlases", sub, "rois"))


def roi_maps(wildcards):
    """Noise-ceiling maps that the ROI table of a subject summarises."""
    groups = runs.subject_tasks()[wildcards.subtask]
    maps = []
    for group in [g for g in groups if g in runs.planned["noiseceiling"]]:
        names = [datasets(variant)[1] for variant in products.variants(group)]
        folder = runs.group_folder(group)
        made = rules.noiseceiling_session.output
        of_group = {"glm": names, "group": group, "folder": folder}
        maps += collect([made.nc, made.ncsnr], **of_group)
    fits = [datasets(variant)[1] for variant in products.across_sessions(groups)]
    names = {"glm": fits, "sub": wildcards.sub, "subtask": wildcards.subtask}
    exact = [name for name in products.ceilings(groups) if name != "DifferentRuns"]
    maps += expand(rules.noiseceiling_subject_part.output.nc, part=exact, **names)
    made = rules.noiseceiling_subject.output
    return maps + collect([made.nc, made.ncsnr], **names)


def of_roi_fits(output):
    """Input function: an output of the fits whose maps the ROI table of a subject summarises."""

    def function(wildcards):
        groups = runs.subject_tasks()[wildcards.subtask]
        if not config["rois"]["n_bootstrap"]:
            return []
        across = products.across_sessions(groups)
        found = []
        for group in groups:
            single = (
                products.variants(group)
                if group in runs.planned["noiseceiling"]
                else []
            )
            names = [datasets(v)[1] for v in dict.fromkeys([*across, *single])]
            found += of_groups(output, [group], glm=names)
        return found

    return function


def of_primary(output):
    """Input function: an output over the sessions of a subject's task, of the primary variant."""

    def function(wildcards):
        return expand(
            output,
            glm=primary_fit(wildcards.subtask),
            sub=wildcards.sub,
            subtask=wildcards.subtask,
        )[0]

    return function


def primary_fit(subtask):
    """Dataset of the fits that the products over a subject's sessions are made of."""
    return datasets(products.across_sessions(runs.subject_tasks()[subtask])[0])[1]


def of_own_comparisons(output):
    """Input function: an output of the comparisons of a subject's task, a session each."""

    def function(wildcards):
        own = runs.subject_tasks()[wildcards.subtask]
        return of_groups(
            output, [group for group in products.compared() if group in own]
        )

    return function
