"""Load and check configuration and run table, and constrain wildcards. No decisions here."""

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from mebold import inventory, nifti_warp, plan, plan_text, provenance, settings
from mebold.derivatives import spatial_reference_of
from mebold.errors import MeboldError
from mebold.job_parameters import JobParameters
from mebold.runs import VARIANTS, datasets, variant_of

TABLE = str(Path(config["output_dir"], "work", "runs.tsv"))

try:
    config.update(settings.complete(config))
    if config["run_table"]:
        table = inventory.read_table(config["run_table"])
    else:
        # Cluster jobs parse this file again: only the first process looks at the BIDS tree.
        if workflow.is_main_process:
            inventory.refresh(
                config["bids_dir"],
                TABLE,
                participant_labels=config["participant_label"],
                session_labels=config["session_label"],
                task_labels=config["task_label"],
            )
        table = inventory.read_table(TABLE)
    inventory.check(table)
    run_plan = plan.make_plan(table, config=config)
    runs = JobParameters(table, run_plan, config)
    runs.require_runs()
    if workflow.is_main_process:
        if config["gradient_nonlinearity"]["warp"]:
            nifti_warp.check(config["gradient_nonlinearity"]["warp"])
        for notice in plan_text.notices(run_plan):
            logger.warning(f"Plan: {notice}")
    spatial_reference = spatial_reference_of(runs.space, config["template"]["image"])
except MeboldError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    sub="sub-[A-Za-z0-9]+",
    folder="sub-[A-Za-z0-9]+(/ses-[A-Za-z0-9]+)?",
    ses="sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?",
    stem="sub-[A-Za-z0-9]+(_(ses|task|acq|ce|rec|dir|run)-[A-Za-z0-9]+)+",
    group="sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?_task-[A-Za-z0-9]+(_acq-[A-Za-z0-9]+)?",
    pooled="sub-[A-Za-z0-9]+(_(ses|task|acq|ce|rec|dir|run)-[A-Za-z0-9]+)+",
    subtask="sub-[A-Za-z0-9]+_task-[A-Za-z0-9]+(_acq-[A-Za-z0-9]+)?",
    thermal="standard|nordic",
    variant="|".join(VARIANTS),
    dataset="tedana|preproc-[A-Za-z]+",
    glm="glmsingle-[A-Za-z]+",
    echo="(_echo-[A-Za-z0-9]+)?",


def code(script):
    """Hash a script's library modules: an edit of one reruns the jobs that use it."""
    return provenance.code_hash(f"{workflow.basedir}/workflow/scripts/{script}.py")


def memory(series=3, base=1000):
    """Memory of a job in MB: a multiple of one echo's float32 series, more at each attempt."""

    def mem_mb(wildcards, attempt):
        size = runs.series_mb(**dict(wildcards.items()))
        return int(attempt * (base + series * size))

    return mem_mb


def minutes(count):
    """Run time of a job in minutes, more at each attempt."""

    def runtime(wildcards, attempt):
        return attempt * count

    return runtime
