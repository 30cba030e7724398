"""Input functions: the raw images of a job, as the run table names them.

Files that no job makes are `ancient`: their dates say nothing, a copy has another one and a file
that was replaced may have the old one. Their content stands in the record of the job.
"""


def not_made(files):
    """Mark files that no job makes."""
    return (
        ancient(files) if isinstance(files, str) else [ancient(file) for file in files]
    )


def raw(function, *arguments):
    """Input function: raw images by the labels of a job; none that was not fetched."""
    look_up = by(function, *arguments)

    def of_wildcards(wildcards):
        return not_made(runs.fetched(look_up(wildcards)))

    return of_wildcards


raw_magnitude = raw(runs.images, "bold", "mag")
raw_phase = raw(runs.images, "bold", "phase")
raw_sbref = raw(runs.sbref, "reference_echo")
raw_motion_sbref = raw(runs.sbref, "echo")
raw_norf = raw(runs.images, "noRF", "mag", "phase")
raw_t1w_repeats = raw(runs.averaged)
raw_t2w = raw(runs.anatomy, "T2w")
stored_t1w = by(runs.anatomy, "T1w")


def raw_t1w(wildcards):
    """T1w of a subject; what an MP2RAGE gives in its place is cleaned first."""
    if runs.mp2rage(wildcards.sub):
        return expand(rules.mp2rage.output.unit1, sub=wildcards.sub)[0]
    return ancient(runs.fetched(stored_t1w(wildcards)))


def mask_source(wildcards):
    """Image on which the brain is found, where it is not the T1w itself."""
    if not runs.mp2rage(wildcards.sub):
        return []
    return expand(rules.mp2rage.output.weighted, sub=wildcards.sub)[0]


def network_mask(wildcards):
    """Brain mask of the optional network, where the configuration asks for it."""
    if not config["antspynet"]["use"]:
        return []
    return expand(rules.antspynet.output.mask, sub=wildcards.sub)[0]


def mp2rage_images(wildcards):
    """UNIT1 of a subject, with the two inversions where they are there."""
    images = dict(zip(("unit1", "inv1", "inv2"), runs.mp2rage(wildcards.sub)))
    paths = {key: runs.fetched(runs.path(row["path"])) for key, row in images.items()}
    return {key: not_made(path) for key, path in paths.items()}


def raw_megre(megre, *kinds):
    """Echoes of a multi-echo gradient echo, kind after kind, by ascending echo time."""
    rows = [row for kind in kinds for row in getattr(runs.megre[megre], kind)]
    return not_made(runs.fetched([runs.path(row["path"]) for row in rows]))


def raw_fieldmaps(wildcards):
    rows = runs.fieldmap_rows(wildcards.folder)
    return not_made(runs.fetched([runs.path(row["path"]) for row in rows]))


def noise_map(wildcards):
    """Noise map of a run: the user's, or the one that its echoes share."""
    template = config["nordic"]["noise_map"]
    if template:
        echo = wildcards.echo.removeprefix("_echo-")
        names = {"stem": wildcards.stem, "folder": wildcards.folder, "echo": echo}
        return not_made([template.format(**names)])
    if parameters.shares_gfactor(wildcards.stem):
        return [of_run(rules.nordic_gfactor.output.gfactor, wildcards.stem)]
    return []


def run_events(wildcards):
    """Events of a run that is fitted; none where there are no trials to be had."""
    if wildcards.stem not in runs.planned["singletrial"]:
        return []
    return not_made(runs.path(runs.row(wildcards.stem)["events"]))
