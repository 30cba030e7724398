"""Command line of the inventory: ``python -m mebold.inventory DATASET``, without Snakemake."""

import argparse
import sys
from collections.abc import Sequence

from mebold.errors import MeboldError
from mebold.inventory.checks import check
from mebold.inventory.findings import summary
from mebold.inventory.index import index
from mebold.inventory.selection import add_options
from mebold.inventory.table import table_text, write_table


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
    output = options.pop("output")
    try:
        table = index(options.pop("bids_dir"), **options)
        sys.stderr.write(summary(check(table)))
        if output:
            write_table(table, output)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 2
    if output:
        sys.stderr.write(f"Wrote {output}\n")
    else:
        sys.stdout.write(table_text(table))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.inventory",
        description="Index a raw BIDS dataset into a run table (one row per image) and check it. "
        "`python -m mebold.plan` says which stages of the workflow will run.",
    )
    add_options(parser)
    parser.add_argument("-o", "--output", help="TSV to write instead of printing")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
