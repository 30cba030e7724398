"""What made each product, held against the present: a job whose record differs runs again.

Snakemake's notes belong to a working directory; the records (`mebold.jobs.record`) come along with
the output folder. So a moved output is still complete, and a changed key still makes its jobs run.
"""

from snakemake.io import strip_wildcard_constraints
from snakemake.settings.types import RerunTrigger

from mebold.jobs import record

PLACES = record.Places(config["bids_dir"], config["output_dir"])
MOST_CHANGES = 20
told, comparing, unknown = set(), set(), []


def compared_with_record(made):
    """Input function of a rule: no file, but a job whose record differs has to run."""
    log_of = strip_wildcard_constraints(str(made.log[0]))
    product_of = strip_wildcard_constraints(str(made.output[0]))

    def function(wildcards):
        if set(workflow.rerun_triggers) == {RerunTrigger.MTIME}:
            return []  # the user keeps what is there, whatever made it
        labels = dict(wildcards.items())
        place = PLACES.of_job(made.name, log_of.format(**labels))
        # The inputs of the job, asked for below, come by here again.
        if place in comparing:
            return []
        if (before := record.read(place)) is None:
            tell_unknown(product_of.format(**labels))
            return []
        comparing.add(place)
        files, *_ = made.expand_input(wildcards)
        outputs, _ = made.expand_output(wildcards)
        params, _ = made.expand_params(wildcards, files, outputs, None)
        comparing.remove(place)
        now = record.of_job(
            PLACES,
            labels=labels,
            params=dict(params.items()),
            inputs=files,
            complete=True,
        )
        if changed := record.changes(PLACES, before, now):
            workflow.dag.forcefiles.update(outputs)
            for change in changed:
                if is_news(change, now["Script"]):
                    tell(str(change))
        return []

    return function


def is_news(change, script):
    """Whether the list of jobs does not say it: new products, another plan."""
    if change.kind == "input":
        return bool(
            {change.before, change.now} - {"", "absent"}
        )  # not a product of a job
    return change.kind != "parameter" or not script.startswith("inventory_")


def tell(change):
    """Name what is different from when products were made, once."""
    if change not in told and len(told) <= MOST_CHANGES:
        if len(told) == MOST_CHANGES:
            change = "and more (`python -m mebold.plan` lists them)"
        logger.warning(f"Changed: {change}")
    told.add(change)


def tell_unknown(product):
    """Say once that there are products without a record: they are kept."""
    if not unknown and Path(product).exists():
        unknown.append(product)
        logger.warning(
            f"Without a record of what made them are {product} and perhaps others: they are kept "
            "as they are (`--forceall` makes everything anew)."
        )


if workflow.is_main_process:
    for made in workflow.modifier.rules:
        if made.script:
            made.set_input(record=compared_with_record(made))
