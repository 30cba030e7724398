"""Input functions: the raw images of a job, as the run table names them."""

raw_magnitude = by(runs.images, "bold", "mag")
raw_phase = by(runs.images, "bold", "phase")
raw_sbref = by(runs.sbref)
raw_norf = by(runs.images, "noRF", "mag", "phase")
raw_t1w = by(runs.anatomy, "T1w")


def raw_t2w(wildcards):
    return runs.anatomy(wildcards.sub, "T2w") or []


def raw_fieldmaps(wildcards):
    return [runs.path(row["path"]) for row in runs.fieldmap_rows(wildcards.folder)]


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
