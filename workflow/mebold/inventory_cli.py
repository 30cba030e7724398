"""Command line of the inventory: run table and plan of a BIDS dataset, without Snakemake."""

import argparse
import sys
from collections.abc import Sequence

from mebold import inventory, plan
from mebold.errors import MeboldError
from mebold.inventory_findings import summary
from mebold.nifti import write_tsv
from mebold.plan_text import format_plan
from mebold.runs import VARIANTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 2 after a message on the input; nothing is written then.
    """
    options = _parser().parse_args(arguments)
    try:
        table = inventory.index(
            options.bids_dir,
            participant_labels=options.participant_label,
            session_labels=options.session_label,
            task_labels=options.task_label,
        )
        notes = inventory.check(table)
        design = {"label_column": options.label_column}
        stages = plan.make_plan(table, config={"variants": list(VARIANTS), "design": design})
        if options.output and options.plan:
            write_tsv(options.output, stages)
        elif options.output:
            inventory.write_table(table, options.output)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 2
    sys.stderr.write(summary(notes))
    if options.output:
        sys.stderr.write(f"Wrote {options.output}\n")
    elif options.plan:
        sys.stdout.write(format_plan(stages))
    else:
        sys.stdout.write(inventory.table_text(table))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.inventory",
        description="Index a raw BIDS dataset into a run table (one row per image), check it, and "
        "say which stages of the workflow will run.",
    )
    parser.add_argument("bids_dir", help="root of the dataset")
    parser.add_argument("-o", "--output", help="TSV to write instead of printing")
    parser.add_argument("--plan", action="store_true", help="the plan instead of the run table")
    for entity in ("participant", "session", "task"):
        parser.add_argument(
            f"--{entity}-label",
            metavar="LABELS",
            type=_labels,
            help=f"only these {entity}s, with commas between",
        )
    parser.add_argument(
        "--label-column",
        metavar="COLUMN",
        help="column of events.tsv that names the image; without it the plan assumes repeats",
    )
    return parser


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",") if label.strip()]
