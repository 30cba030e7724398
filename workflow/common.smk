"""Load and check configuration and run table, and constrain wildcards. No decisions here."""

import gc
import os
from inspect import signature
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from mebold.errors import ConfigError, MeboldError
from mebold.files import metadata
from mebold.files.tables import read_tsv
from mebold.inventory.index import refresh
from mebold.inventory.table import read_table
from mebold.jobs import (
    calls,
    code_hash,
    configuration,
    console,
    failures,
    handed,
    machine,
    region_surfaces,
    regions,
    templates,
)
from mebold.jobs.index import Index
from mebold.jobs.localizers import Localizers
from mebold.jobs.localizers import finished as finished_localizers
from mebold.jobs.parameters import Parameters
from mebold.jobs.products import Products
from mebold.plan import references, study
from mebold.plan.others import with_others
from mebold.plan.selection import is_restricted
from mebold.report import configured
from mebold.rois.table import check_list
from mebold.variants import VARIANTS, datasets, variant_of

# Wildcards that functions of the library take as labels.
LABELS = (
    "sub",
    "megre",
    "folder",
    "stem",
    "group",
    "pooled",
    "dataset",
    "thermal",
    "echo",
)
# While this file is read, `workflow.dryrun` does not know yet.
DRY = bool(workflow.output_settings and workflow.output_settings.dryrun)
# In a module of another workflow, `workflow.basedir` is the folder of that one.
HERE = Path(calls.__file__).parents[2]
SCHEMA = HERE / "schemas" / "config.schema.yaml"
MODULE = not workflow.modifier.is_main_snakefile()

if not MODULE:
    # Jobs and their files stay until the end: walking through all of them in search of garbage, again
    # and again, is a fifth of the time of a dry-run.
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)

try:
    config.update(configuration.complete(config, configuration.load_schema(SCHEMA)))
    # Inputs have one name, wherever a call is made and however it spells the folder: what is done
    # is not done again for that. Outputs keep theirs, because targets are named by it.
    config["bids_dir"] = os.path.abspath(config["bids_dir"])
    # Rules name the folder as it is configured; the prefix of a module comes before it, for all
    # that is not a path of a rule.
    OUT = config["output_dir"]
    moved = Path(workflow.modifier.modify_path(str(Path(OUT, "plan.tsv")))).parent
    config = {**config, "output_dir": OUT if moved == Path(OUT) else str(moved)}
    WORK = Path(config["output_dir"], "work")
    if workflow.is_main_process and not DRY:
        calls.clear(WORK)
    TABLE = WORK / "tables" / configuration.table_name(config)
    keep_table = None
    # Cluster jobs parse this file again, and get what the first process of their call saw.
    taken = None if workflow.is_main_process else handed.read(WORK)
    if taken:
        found, kept, runs = taken
    else:
        if config["run_table"]:
            table = read_table(config["run_table"])
        # Only the first process looks at the BIDS tree. What it saw is written when it holds the
        # output folder (`onstart`), and never by a dry-run.
        elif workflow.is_main_process or not TABLE.exists():
            look = configuration.selection(config)
            table, keep_table = refresh(config["bids_dir"], TABLE, **look)
        else:
            table = read_table(TABLE)
        if keep_table and MODULE and not DRY:
            keep_table()  # nobody may call the handlers of a module, and its jobs read the table
        kept = references.read(config["output_dir"])
        found = study.decide(table, config, contents=not DRY, kept=kept)
        runs = Index(found.table, found.plan, config, kept, found.templates)
    run_plan = found.plan
    # The network is asked by the first process of a run alone, and where the user says so.
    TEMPLATES = templates.files(
        runs.template_identifiers,
        config["template"],
        fetch=workflow.is_main_process and not DRY,
    )
    products = Products(runs)
    parameters = Parameters(runs)
    localizers = Localizers(runs)
    products.require_runs()
    listed = config["rois"]["table"]
    listed_rois = read_tsv(listed) if listed else None
    if listed_rois is not None:
        check_list(listed_rois)
    if workflow.is_main_process:
        if config["gradient_nonlinearity"]["warp"]:
            # Imports scipy, and every job of a cluster parses this file.
            from mebold.files import transforms

            transforms.check_displacement(config["gradient_nonlinearity"]["warp"])
        if lost := regions.absent(config["rois"], runs.subjects):
            raise ConfigError(lost)
        for sub in runs.subjects:
            named = {"space": runs.space, "template": runs.template_of(sub)}
            given = regions.find(config["rois"], listed_rois, sub=sub, **named)
            regions.check_names(config["rois"], listed_rois, given, sub=sub)
            fits = localizers.fits(sub)
            regions.find_localizers(config["rois"], sub, fits)
            region_surfaces.spaces(config["rois"], sub, runs)
        for notice in found.notices():
            logger.warning(notice)
    spatial_reference = metadata.spatial_reference_of(
        runs.space, TEMPLATES.get(config["output"]["space"], {}).get("template")
    )
except MeboldError as error:
    raise WorkflowError(str(error)) from None


if workflow.is_main_process and not (MODULE or workflow.non_local_exec):
    # As many jobs side by side as there is memory for, unless --resources says how much of it.
    given = {"mem", "mem_mb", "mem_mib"}.intersection(workflow.global_resources)
    if (all_mb := machine.memory_mb()) and not given:
        workflow.register_resource("mem_mb", int(0.9 * all_mb))


wildcard_constraints:
    sub="sub-[A-Za-z0-9]+",
    folder="sub-[A-Za-z0-9]+(/ses-[A-Za-z0-9]+)?",
    ses="sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?",
    stem="sub-[A-Za-z0-9]+(_(ses|task|acq|ce|rec|dir|run)-[A-Za-z0-9]+)+",
    megre="sub-[A-Za-z0-9]+(_(ses|acq|ce|rec|dir|run)-[A-Za-z0-9]+)*",
    group="sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?_task-[A-Za-z0-9]+(_acq-[A-Za-z0-9]+)?",
    pooled="sub-[A-Za-z0-9]+(_(ses|task|acq|ce|rec|dir|run)-[A-Za-z0-9]+)+",
    subtask="sub-[A-Za-z0-9]+_task-[A-Za-z0-9]+(_acq-[A-Za-z0-9]+)?",
    task="task-[A-Za-z0-9]+(_acq-[A-Za-z0-9]+)?",
    thermal="standard|nordic",
    variant="|".join(VARIANTS),
    template="[A-Za-z0-9]+([+][A-Za-z0-9]+)?",
    dataset="tedana|preproc-[A-Za-z]+",
    glm="glmsingle-[A-Za-z]+",
    echo="(_echo-[A-Za-z0-9]+)?",


onstart:
    if workflow.is_main_process:
        try:
            calls.begin(WORK, log=next(iter(log), None))
        except MeboldError as error:
            raise WorkflowError(str(error)) from None
        if workflow.non_local_exec:
            handed.write(WORK, (found, kept, runs))
        failures.leave_cancelled(logger, workflow)
        console.take_over(
            logger, (job.rule.name for job in workflow.dag.needrun_jobs())
        )
        if keep_table:
            keep_table()
        configured.write(WORK, config)
    # What the alignments lead to is kept as soon as there will be one.
    if any(job.name.startswith("coreg") for job in workflow.dag.needrun_jobs()):
        references.write(config["output_dir"], runs.references)


def give_back():
    """Let other calls write into the output folder."""
    if workflow.is_main_process:
        handed.remove(WORK)
    calls.end(WORK)


def report_pages(failed=()):
    """Write the pages on what is there, at the end of a call that did something."""
    if workflow.is_main_process:
        from mebold.report import call  # every job of a cluster reads this file

        said = call.ended(config, [one.log for one in failed])
        if said:
            logger.warning(said)


def code(script):
    """Name of a script and a hash of it with what it uses of the library."""
    return f"{script}:{code_hash.code_hash(HERE / 'scripts' / f'{script}.py')}"


def chosen(section, *keys):
    """Keys of a section of the configuration: a job gets just those that it uses."""
    return {key: config[section][key] for key in keys}


def by(function, *arguments):
    """Call a function with the labels of a job that it names, then with more arguments."""
    labels = [name for name in signature(function).parameters if name in LABELS]

    def of_wildcards(wildcards):
        return function(*(wildcards[label] for label in labels), *arguments)

    return of_wildcards


def memory(series=3, base=1000, output=0, run=0, judged=0):
    """Memory of a job in MB: multiples of one echo as acquired and in the output, more at each attempt.

    Of all runs that the job takes; `run` is a multiple of the longest alone, in the output, and `judged` one with
    the samples by which tedana judges components.
    """

    multiples = (
        (series, {}),
        (output, {"resampled": True}),
        (run, {"resampled": True, "longest": True}),
        (judged, {"judged": True}),
    )

    def mem_mb(wildcards, attempt):
        labels = {
            key: wildcards[key] for key in ("stem", "group") if key in wildcards.keys()
        }
        sizes = (n * parameters.series_mb(**labels, **of) for n, of in multiples if n)
        return int(attempt * (base + sum(sizes)))

    return mem_mb


def anatomy_memory(base, per_megavoxel):
    """Memory of a job in MB that grows with the matrix of a T1w, more at each attempt."""

    def mem_mb(wildcards, attempt):
        size = parameters.t1w_megavoxels(subject(wildcards))
        return int(attempt * (base + per_megavoxel * size))

    return mem_mb


def minutes(count, anatomy=0):
    """Run time of a job in minutes, more at each attempt; `anatomy` per million voxels of a T1w."""

    def runtime(wildcards, attempt):
        size = parameters.t1w_megavoxels(wildcards.sub) if anatomy else 0
        return int(attempt * (count + anatomy * size))

    return runtime
