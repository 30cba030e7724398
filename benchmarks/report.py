"""CPU seconds to build the pages of a large study, their size, and how long a browser opens them.

PYTHONPATH=workflow:tests python benchmarks/report.py FOLDER --subjects 5 --sessions 33 --runs 12
"""

import argparse
import random
import time
from pathlib import Path

from browser import WIDE, Browser, found
from report_folder import Output, finished, png

from mebold.report import pages
from mebold.report.folder import Folder
from mebold.report.study import Study

MORE_FILES = 45  # of a run of three echoes: maps, masks and sidecars that the pages do not read


def fill(out: Output, n_subjects: int, n_sessions: int, n_runs: int) -> None:
    """Write the files of a study, with displacements and tSNR of their own in each run."""
    dice = random.Random(0)
    for s in range(1, n_subjects + 1):
        out.subject(f"{s:02d}")
        for session in range(1, n_sessions + 1):
            for run in range(1, n_runs + 1):
                fd = tuple(dice.lognormvariate(-2.0, 0.5) for _ in range(300))
                names = (f"{s:02d}", f"{session:02d}", f"{run:02d}")
                stem = out.run(*names, fd=fd, tsnr=dice.gauss(60, 8))
                folder = f"sub-{s:02d}/ses-{session:02d}"
                for echo in (1, 2, 3):
                    figure = f"nordic/{folder}/figures/{stem}_echo-{echo}_desc-nordic_bold.png"
                    out.write(figure, png())
                for kind in ("sdc", "coreg"):
                    out.write(f"preproc/{folder}/figures/{stem}_desc-{kind}_boldref.png", png())
                for n in range(MORE_FILES):
                    out.write(f"nordic/{folder}/func/{stem}_desc-map{n}_boldmap.nii.gz", "")
            out.session(f"{s:02d}", f"{session:02d}")
    out.compared()


class Quick(Output):
    """An output whose plan is written once, at the end."""

    def write_plan(self) -> None:
        """Wait for `done`."""

    def done(self) -> None:
        """Write the plan."""
        super().write_plan()


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=33)
    parser.add_argument("--runs", type=int, default=12)
    options = parser.parse_args()
    finished(options.folder / "warm")
    pages.write(Study(Folder(options.folder / "warm")))
    out = Quick(options.folder / "study")
    fill(out, options.subjects, options.sessions, options.runs)
    out.done()
    for only in (["sub-01"], []):
        began = time.process_time()
        written = pages.write(Study(Folder(out.root)), only=only)
        spent = time.process_time() - began
        sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.2f} MB" for path in written[:2])
        print(f"{len(written)} pages: {spent:.1f} CPU s ({sizes})")
    if found():
        for name in ("index.html", "sub-01.html"):
            with Browser(WIDE) as page:
                page.call("Performance.enable", timeDomain="threadTicks")
                times = [page.open(out.root / "report" / name) for _ in range(3)]
                metrics = page.call("Performance.getMetrics")["metrics"]
            spent = next(one["value"] for one in metrics if one["name"] == "ThreadTime")
            print(f"{name}: {spent:.2f} CPU s in the browser, {min(times):.2f} s (best of 3)")


if __name__ == "__main__":
    main()
