"""A finished output folder without its computations: every job writes placeholders and its record.

What Snakemake runs again follows from names, times and records, and not from voxels. The scripts
of a copy of the workflow are replaced; rules, plan, records and the wrapper of a job are real.
"""

import os
import shutil
import subprocess
from pathlib import Path

from bids_trees import Tree
from snakemake_runner import REPOSITORY, job_counts, snakemake

#: Scripts that are fast and whose products the start of a call reads.
_REAL = ("inventory_plan.py", "inventory_datasets.py")
_PLACEHOLDER = '''"""Write something in place of each product."""

from pathlib import Path

from mebold.jobs.script import job

with job(snakemake):
    for name in snakemake.output:
        path = Path(name)
        if not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            path /= "inside.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made")
'''
SETTINGS = {"design": "{minimum_tail_s: 0, minimum_volumes: 6}"}


def copy_of_workflow(place: Path) -> Path:
    """Copy what the workflow is made of, with placeholders instead of computations."""
    for name in ("workflow", "config", "envs", "profiles"):
        shutil.copytree(
            REPOSITORY / name, place / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "Snakefile", place / "Snakefile")
    for script in (place / "workflow/scripts").glob("*.py"):
        if script.name not in _REAL:
            script.write_text(_PLACEHOLDER)
    return place


def raw_data(root: Path) -> Tree:
    """Write a subject with two sessions of two runs, whose images repeat."""
    tree = Tree(root, filled=True)
    for session in ("01", "02"):
        add_session(tree, "01", session)
    return tree


def add_session(tree: Tree, subject: str, session: str) -> None:
    """Write a session whose runs can be fitted."""
    tree.session(subject, session)
    folder, name = f"sub-{subject}/ses-{session}/func", f"sub-{subject}_ses-{session}"
    for run in ("01", "02"):
        tree.events(f"{folder}/{name}_task-images_run-{run}_events.tsv", ["a", "b"])


class Chain:
    """Raw data, output and working directory side by side in one folder.

    Attributes
    ----------
    place : Path
        With ``raw`` and ``out``; the working directory unless another is given.
    workflow : Path
        Copy of the workflow.
    """

    def __init__(self, place: Path, workflow: Path):
        self.place, self.workflow = place, workflow

    def call(self, *arguments: str, cwd: Path | None = None, **config) -> str:
        """Call Snakemake and return what it says; it has to succeed."""
        cwd = cwd or self.place
        config = {"bids_dir": os.path.relpath(self.place / "raw", cwd), **SETTINGS, **config}
        config = {"output_dir": os.path.relpath(self.place / "out", cwd), **config}
        done = snakemake(*arguments, cwd=cwd, repository=self.workflow, **config)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def jobs(self, *arguments: str, cwd: Path | None = None, **config) -> dict[str, int]:
        """Return the jobs of a dry-run by rule, without targets and the sum; none of nothing."""
        return self.look(*arguments, cwd=cwd, **config)[0]

    def look(self, *arguments: str, cwd: Path | None = None, **config) -> tuple[dict, list[str]]:
        """Return the jobs of a dry-run (see `jobs`), and what it says has changed."""
        said = self.call("-n", *arguments, cwd=cwd, **config)
        jobs = {r: n for r, n in job_counts(said).items() if r not in ("all", "total")}
        changed = [line.strip() for line in said.splitlines() if "Changed: " in line]
        return jobs, [line.partition("Changed: ")[2] for line in changed]

    def copy(self, place: Path) -> "Chain":
        """Copy data and output with their times, as ``cp -a`` does; with Snakemake's notes."""
        subprocess.run(["cp", "-a", str(self.place), str(place)], check=True)
        return Chain(place, self.workflow)


def finished(folder: Path, **config) -> Chain:
    """Run the whole chain once, with placeholders."""
    workflow = copy_of_workflow(folder / "checkout")
    raw_data(folder / "study/raw")
    chain = Chain(folder / "study", workflow)
    chain.call("--cores", "2", **config)
    return chain
