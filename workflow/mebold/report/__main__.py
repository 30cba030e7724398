"""Command line of the report: ``python -m mebold.report OUTPUT_DIR``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mebold.report import pages, progress
from mebold.report.folder import Folder
from mebold.report.study import Study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0, or 2 where there is no such folder. Pages are built from what is there.
    """
    options = _parser().parse_args(arguments)
    if not Path(options.output_dir).is_dir():
        sys.stderr.write(f"error: {options.output_dir}: no such folder. Give the `output_dir`.\n")
        return 2
    study = Study(Folder(options.output_dir))
    if options.status:
        sys.stdout.write(progress.text(study, every=options.all))
        return 0
    only = [name if name.startswith("sub-") else f"sub-{name}" for name in options.participant]
    if unknown := sorted(set(only) - set(study.subjects)):
        known = ", ".join(study.subjects) or "none"
        sys.stderr.write(f"error: {', '.join(unknown)}: not in the plan, which has {known}.\n")
        return 2
    written = pages.write(study, self_contained=options.self_contained, only=only)
    sys.stderr.write("".join(f"Wrote {path}\n" for path in written))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.report",
        description="Write the pages of an output folder, finished or not: report/index.html and "
        "report/sub-<label>.html.",
    )
    parser.add_argument("output_dir", help="the `output_dir` of the workflow")
    parser.add_argument(
        "--participant", nargs="+", default=[], metavar="LABEL", help="pages of these subjects only"
    )
    parser.add_argument(
        "--self-contained", action="store_true", help="figures inside the pages, not linked"
    )
    parser.add_argument(
        "--status", action="store_true", help="print what is done, running, failed and waiting"
    )
    parser.add_argument("--all", action="store_true", help="with --status: every run in full")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
