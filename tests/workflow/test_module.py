"""The repository as a module of somebody's own workflow, whose folder is another one."""

import json

import pytest
import yaml
from bids_trees import Tree
from snakemake_runner import REPOSITORY, job_counts, snakemake

pytestmark = pytest.mark.workflow

#: Names of rules with something before them; files of rules with something before them.
OWN = """
module mebold:
    snakefile: "{snakefile}"
    config: {{"bids_dir": "raw", "output_dir": "out"}}
    {prefix}

use rule * from mebold{names}

{handlers}

rule own:
    output: "own.txt"
    input: "{out}/plan.tsv"
    script: "own.py"
"""
HANDLERS = "\n".join(f"{name}: mebold.{name}()" for name in ("onstart", "onsuccess", "onerror"))


@pytest.fixture
def folder(tmp_path):
    """Return a folder of a user with raw data and a script."""
    Tree(tmp_path / "raw", filled=True).session()
    script = "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).readline())\n"
    (tmp_path / "own.py").write_text(script)
    return tmp_path


def own(folder, *arguments, names="", prefix="", handlers="", entry="workflow/Snakefile"):
    """Call a workflow of ten lines that takes all rules from here."""
    out = "derived/out" if prefix else "out"
    filled = {"snakefile": REPOSITORY / entry, "prefix": prefix, "names": names, "out": out}
    (folder / "Snakefile").write_text(OWN.format(handlers=handlers, **filled))
    return snakemake(*arguments, cwd=folder, repository=folder)


def test_rules_with_another_name_are_the_same_jobs(folder):
    plain = snakemake("-n", cwd=folder, bids_dir="raw", output_dir="out")
    done = own(folder, "-n", "mebold_all", names=" as mebold_*", entry="Snakefile")
    counts = job_counts(done.stdout)
    assert {k.removeprefix("mebold_"): n for k, n in counts.items()} == job_counts(plain.stdout)
    assert counts["mebold_nordic"] == 6, done.stdout[-2000:]
    assert "not present in the Snakefile" not in done.stdout  # local rules


def test_jobs_write_below_the_prefix_and_are_known_again(folder):
    prefix = 'prefix: "derived"'
    done = own(folder, "own.txt", "--cores", "1", prefix=prefix, handlers=HANDLERS)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "own.txt").read_text().startswith("subject\t")
    assert not (folder / "out").exists()
    written = folder / "derived/out"
    assert (written / "report/index.html").is_file()  # by the handler
    assert json.loads((written / "provenance/plan/plan.json").read_text())["Complete"]
    assert not (written / "work/.lock.json").exists()
    assert "Nothing to be done" in own(folder, "own.txt", "--cores", "1", prefix=prefix).stdout
    whole = own(folder, "-n", "all", prefix=prefix)
    assert job_counts(whole.stdout)["nordic"] == 6, whole.stdout[-2000:]
    assert " out/" not in whole.stdout


def test_the_catalogue_finds_what_it_asks_for():
    about = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())
    assert {"mandatory-flags", "software-stack-deployment", "report"} == set(about["usage"])
    for name in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (REPOSITORY / name).is_file()
