"""Measure the index of a large dataset: subjects of 33 sessions of 12 runs, images of a few voxels.

    PYTHONPATH=workflow:tests python benchmarks/index.py [--subjects N]

prints processor seconds of the first look, of one where nothing is new, of one with a new session,
and of a look at one subject alone.
"""

import argparse
import os
import tempfile
from pathlib import Path

from bids_trees import Tree

from mebold.inventory import index


def measured(what: str, table: Path, root: Path, **selection) -> None:
    """Bring the run table up to date in a process of its own, and print what that took."""
    if process := os.fork():
        _, status, used = os.wait4(process, 0)
        assert status == 0, status
        print(f"{what}: {used.ru_utime + used.ru_stime:.1f} CPU s, {used.ru_maxrss / 1e6:.2f} GB")
        return
    found, keep = index.refresh(root, table, **selection)
    keep()
    print(f"{len(found)} rows", end=", ", flush=True)
    os._exit(0)


def main() -> None:
    """Write a dataset, and look at it four times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--subjects", type=int, default=2)
    count = parser.parse_args().subjects
    runs = [f"{n:02d}" for n in range(1, 13)]
    with tempfile.TemporaryDirectory() as folder:
        root, table = Path(folder, "raw"), Path(folder, "runs.tsv")
        tree = Tree(root, filled=True)
        for subject in range(1, count + 1):
            for session in range(1, 34):
                names = {"runs": runs, "suffixes": ("bold", "sbref")}
                tree.session(f"{subject:02d}", f"{session:02d}", **names)
        print(f"{sum(len(files) for *_, files in os.walk(root))} files")
        measured("first look", table, root)
        measured("nothing new", table, root)
        tree.session("01", "34", runs=runs, suffixes=("bold", "sbref"))
        measured("a new session", table, root)
        measured("one subject", Path(folder, "one.tsv"), root, participant_labels=["01"])


if __name__ == "__main__":
    main()
