"""Command line of the fit: ``python -m mebold.singletrial BOLD... --events TSV... -o FOLDER``."""

import argparse
import tempfile
from pathlib import Path

from mebold.files import bids, provenance
from mebold.jobs import configuration, coverage, fitted
from mebold.progress import ended, reporter, say
from mebold.singletrial import fit, runs
from mebold.singletrial.session import Session, prepare

_SECTIONS = ("design", "glm")
_START = ("subject", "session", "task", "acquisition")
_SPACE = ("space", "resolution")
_FURTHER = ("FITHRF", "FITHRF_GLMDENOISE")
#: Names of the files, as the workflow has them; those of images follow ``space-<label>``.
_TABLES = {
    "trials": "desc-SingletrialBetas_trials.tsv",
    "summary": "desc-GLMsingle_summary.json",
}
_IMAGES = {
    "betas": "stat-effect_desc-SingletrialBetas_statmap.nii.gz",
    "r2": "stat-rsquare_desc-R2_statmap.nii.gz",
    "hrf": "desc-HRFindex_dseg.nii.gz",
    "fracridge": "desc-Fracridge_statmap.nii.gz",
    "onoff": "stat-rsquare_desc-R2onoff_statmap.nii.gz",
    "meanvol": "desc-Meanvol_statmap.nii.gz",
    "coverage": "desc-coverage_mask.nii.gz",
    "model": "desc-GLMsingle_model.h5",
}
_ON_REQUEST = {
    "images": {"images": "stat-effect_desc-ImageBetas_statmap.nii.gz"},
    "zscored_run": {"zscored_run": "stat-effect_desc-SingletrialBetasZscoredRun_statmap.nii.gz"},
    "zscored_session": {
        "zscored_session": "stat-effect_desc-SingletrialBetasZscoredSession_statmap.nii.gz"
    },
}


def _parser(schema: dict) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.singletrial",
        description="Fit one beta per trial and voxel (GLMsingle) to the preprocessed runs of one "
        "session, of this workflow, of fMRIPrep or of any other program. Writes betas, trial "
        "table, maps and the model file into FOLDER, each with a JSON file.",
        epilog="Runs may be of several tasks. Files beside a series are found by its BIDS name: "
        "JSON, desc-brain_mask, desc-confounds_timeseries.tsv.",
    )
    parser.add_argument("bold", nargs="+", metavar="BOLD", help="series of the runs (NIfTI)")
    parser.add_argument(
        "--events", nargs="+", required=True, metavar="TSV", help="events of the runs, in order"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument(
        "--mask",
        metavar="FILE",
        help="voxels to fit; default: the desc-brain_mask of all runs, else made from the first",
    )
    parser.add_argument(
        "--tr",
        type=float,
        metavar="S",
        help="repetition time in seconds; default: of the JSON or the header",
    )
    parser.add_argument(
        "--confound-tables", nargs="+", default=[], metavar="TSV", help="one per run, in order"
    )
    parser.add_argument(
        "--non-steady",
        type=int,
        metavar="N",
        help="volumes at the start of every run that the fit leaves out; default: those that the "
        "confound tables name (non_steady_state_outlierNN), else none",
    )
    parser.add_argument("--seed", type=int, default=schema["properties"]["seed"]["default"])
    parser.add_argument("--n-threads", type=int, default=1, metavar="N")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    for section in _SECTIONS:
        group = parser.add_argument_group(f"{section}, as in the configuration of the workflow")
        for key, rule in schema["properties"][section]["properties"].items():
            _add_key(group, key, rule, f"{section}.{key}")
    return parser


def _add_key(group: argparse._ArgumentGroup, key: str, rule: dict, name: str) -> None:
    """Add a key of the schema as an option without a default of its own."""
    text = f"{rule.get('description', '')} (default: {rule['default']})".replace("%", "%%")
    options: dict = {"dest": name, "help": text}
    if rule.get("type") == "boolean":
        options["action"] = argparse.BooleanOptionalAction
    elif rule.get("type") == "array":
        options |= {"nargs": "*", "metavar": "NAME", "choices": rule["items"].get("enum")}
    elif rule.get("type") == "object":
        options |= {"nargs": "*", "metavar": "COLUMN=VALUE[,VALUE]", "type": _column_and_values}
    else:
        options |= {"choices": rule.get("enum"), "metavar": None if "enum" in rule else "X"}
    group.add_argument("--" + key.replace("_", "-"), default=None, **options)


def _column_and_values(word: str) -> tuple[str, list[str]]:
    column, equals, values = word.partition("=")
    if not (column and equals):
        raise argparse.ArgumentTypeError(f"{word!r} is not of the form COLUMN=VALUE[,VALUE]")
    return column, values.split(",")


def _settings(options: argparse.Namespace, schema: dict) -> dict:
    """Return the sections of the configuration with their defaults, as the workflow has them."""
    given: dict = {section: {} for section in _SECTIONS} | {"seed": options.seed}
    for name, value in vars(options).items():
        section, dot, key = name.partition(".")
        if dot and value is not None:
            pairs = schema["properties"][section]["properties"][key].get("type") == "object"
            given[section][key] = dict(value) if pairs else value
    wanted = (*_SECTIONS, "seed")
    kept = {key: schema["properties"][key] for key in wanted}
    part = {"type": "object", "additionalProperties": False, "properties": kept}
    return configuration.complete(given, part | {"$defs": schema["$defs"]})


def _paths(found: runs.Runs, folder: Path, write: list[str]) -> dict[str, Path]:
    """Return the names of the outputs: those of the workflow, with what the runs have in common."""
    labels = [runs.names_of(path) for path in found.files[: len(found.runs)]]
    shared = {k: v for k, v in labels[0].items() if all(one.get(k) == v for one in labels)}
    start, space = (
        [f"{bids.ENTITIES[key]}-{shared[key]}" for key in keys if key in shared]
        for keys in (_START, _SPACE)
    )
    names = dict(_IMAGES)
    for item in write:
        names |= _ON_REQUEST.get(item, {})
    paths = {key: folder / "_".join([*start, *space, name]) for key, name in names.items()}
    tables = _TABLES | ({"images_table": "desc-ImageBetas_images.tsv"} if "images" in write else {})
    return paths | {key: folder / "_".join([*start, name]) for key, name in tables.items()}


def _run(options: argparse.Namespace, schema: dict) -> None:
    """Read, fit, write."""
    settings = _settings(options, schema)
    glm = dict(settings["glm"])
    names, write = glm.pop("confounds"), glm.pop("write")
    report = None if options.quiet else reporter()
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".series-") as scratch:
        found = runs.read(
            options.bold,
            options.events,
            folder=scratch,
            mask=options.mask,
            tr=options.tr,
            confound_tables=options.confound_tables,
            confounds=names,
            non_steady=options.non_steady,
            progress=report,
        )
        session = prepare(
            found.data,
            found.events,
            runs=found.runs,
            non_steady=found.non_steady,
            coverage=found.coverage,
            cells=found.cells,
            confounds=found.confounds,
            **settings["design"],
        )
        result = fit.fit(
            session,
            seed=settings["seed"],
            n_threads=options.n_threads,
            further=[name for name in _FURTHER if name in write],
            progress=report,
            **glm,
        )
        paths = _paths(found, folder, write)
        common = {
            "Sources": [path.name for path in found.files],
            "GeneratedBy": [
                provenance.generated_by(["numpy", "scipy", "h5py", *fit.packages(glm["engine"])])
            ],
            "Parameters": settings | {"tr": session.tr, "mask": found.mask_origin},
            **coverage.known(paths["coverage"]),
        }
        fitted.write(
            paths,
            session,
            result,
            mask=found.mask,
            affine=found.affine,
            about=lambda **keys: keys | common,
            columns=session.columns(found.described),
        )
    _tell(session, found, result)


def _tell(session: Session, found: runs.Runs, result: fit.SingleTrialFit) -> None:
    """Say what was fitted, and what was left out."""
    for item in session.left_out:
        say(f"Left out: {item['run']}: {item['reason']}")
    if session.excluded:
        say(f"Left out: {len(session.excluded)} trials, listed in the summary")
    if starts := {run["start_s"] for run in found.runs if run["start_s"]}:
        say(f"The series start at {', '.join(f'{s:g}' for s in starts)} s (StartTime)")
    if any(session.non_steady):
        say(f"Volumes left out at the start of the runs: {session.non_steady}")
    say(
        f"{len(session.trials)} trials of {len(session.conditions)} conditions in "
        f"{len(session.used)} runs, every {session.tr:g} s; {int(found.mask.sum())} voxels "
        f"({found.mask_origin}); {result.model}, {result.pc_num} noise components"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str or None
        Without the program name; None takes those of the process.

    Returns
    -------
    status : int
        0, or 1 after a message about unusable input.
    """
    schema = configuration.load_schema(configuration.SCHEMA)
    options = _parser(schema).parse_args(arguments)
    return ended(lambda: _run(options, schema), wrote=options.output)


if __name__ == "__main__":
    raise SystemExit(main())
