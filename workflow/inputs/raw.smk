"""Input functions: the raw images of a job, as the run table names them."""


def raw(function, *arguments):
    """Input function: raw images by the labels of a job; none that was not fetched."""
    look_up = by(function, *arguments)

    def of_wildcards(wildcards):
        return runs.fetched(look_up(wildcards))

    return of_wildcards


raw_magnitude = raw(runs.images, "bold", "mag")
raw_phase = raw(runs.images, "bold", "phase")
raw_sbref = raw(runs.sbref, "reference_echo")
raw_motion_sbref = raw(runs.sbref, "echo")
raw_norf = raw(runs.images, "noRF", "mag", "phase")
raw_t1w = raw(runs.anatomy, "T1w")
raw_t1w_repeats = raw(runs.averaged)
raw_t2w = raw(runs.anatomy, "T2w")


def raw_fieldmaps(wildcards):
    rows = runs.fieldmap_rows(wildcards.folder)
    return runs.fetched([runs.path(row["path"]) for row in rows])


def noise_map(wildcards):
    """Noise map of a run: the user's, or the one that its echoes share."""
    template = config["nordic"]["noise_map"]
    if template:
        echo = wildcards.echo.removeprefix("_echo-")
        return [
            template.format(stem=wildcards.stem, folder=wildcards.folder, echo=echo)
        ]
    if parameters.shares_gfactor(wildcards.stem):
        return [of_run(rules.nordic_gfactor.output.gfactor, wildcards.stem)]
    return []


def run_events(wildcards):
    """Events of a run that is fitted; none where there are no trials to be had."""
    if wildcards.stem not in runs.planned["singletrial"]:
        return []
    return runs.path(runs.row(wildcards.stem)["events"])
