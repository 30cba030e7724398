"""Command line of the plan: ``python -m mebold.plan DATASET``, without Snakemake."""

import argparse
import sys
from collections.abc import Sequence

from mebold.errors import MeboldError
from mebold.files.tables import write_tsv
from mebold.inventory.checks import check
from mebold.inventory.findings import summary
from mebold.inventory.index import index
from mebold.inventory.selection import add_options
from mebold.plan.table import make_plan
from mebold.plan.text import format_plan
from mebold.variants import VARIANTS


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
    options = vars(_parser().parse_args(arguments))
    output, design = options.pop("output"), {"label_column": options.pop("label_column")}
    try:
        table = index(options.pop("bids_dir"), **options)
        notes = check(table)
        plan = make_plan(table, config={"variants": list(VARIANTS), "design": design})
        sys.stderr.write(summary(notes))
        if output:
            write_tsv(output, plan)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 2
    if output:
        sys.stderr.write(f"Wrote {output}\n")
    else:
        sys.stdout.write(format_plan(plan))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.plan",
        description="Say which stages of the workflow will run for each run of a raw BIDS dataset, "
        "and why one does not.",
    )
    add_options(parser)
    parser.add_argument("-o", "--output", help="TSV to write instead of printing")
    parser.add_argument(
        "--label-column",
        metavar="COLUMN",
        help="column of events.tsv that names the image; without it the plan assumes repeats",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
