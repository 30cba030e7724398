"""Input functions: the raw images of a job, as the run table names them."""


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
