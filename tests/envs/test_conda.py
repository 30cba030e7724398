"""`snakemake --sdm conda`, with a stand-in for conda: jobs run in the environment of their rule.

Each environment holds the pins of its file and nothing else (`conda_stand_in`). Without uv, or
without its cache and an index, these tests are skipped by name.
"""

import ast
import subprocess
from pathlib import Path

import conda_stand_in
import pytest
from bids_trees import Tree
from finished_chain import SETTINGS, copy_of_workflow
from rule_environments import OPTIONAL, SETS, UNUSED, rules
from snakemake_runner import REPOSITORY, snakemake

from mebold.jobs.code_hash import modules_of

#: In place of a computation: which interpreter ran the job.
SCRIPT = '''"""Write down the environment."""

import sys
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
    with (Path(snakemake.config["output_dir"]) / "interpreters.txt").open("a") as file:
        file.write(f"{snakemake.rule} {sys.prefix}\\n")
'''


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Return the folder of an environment for each file."""
    place = tmp_path_factory.mktemp("environments")
    if not conda_stand_in.UV.exists():
        pytest.skip("no uv to make environments with (`make env`)")
    made = {}
    for name in SETS:
        made[name] = place / name
        try:
            conda_stand_in.create(REPOSITORY / f"envs/{name}.yaml", made[name])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"the packages of envs/{name}.yaml cannot be had: {error}")
    return made


def imports(script: Path) -> set[str]:
    """Return the import statements of a script and its modules, from anywhere in them."""
    found = set()
    for file in [script, *modules_of(script)]:
        for node in ast.walk(ast.parse(file.read_text())) if file.suffix == ".py" else ():
            if isinstance(node, ast.Import) or (
                isinstance(node, ast.ImportFrom) and node.module != "__future__"
            ):
                found.add(ast.unparse(node))
    return found


@pytest.mark.parametrize("name", SETS)
def test_an_environment_alone_imports_what_its_scripts_import(environments, name):
    scripts = {script for _, environment, script in rules() if environment == name}
    folder = REPOSITORY / "workflow/scripts"
    wanted = set().union(*(imports(folder / f"{script}.py") for script in scripts))
    assert len(wanted) > 50
    lines = "\n".join(
        f"try:\n    {line}\nexcept ModuleNotFoundError as error:\n    print(error.name)"
        for line in sorted(wanted)
    )
    done = subprocess.run(
        [environments[name] / "bin/python", "-W", "ignore", "-c", lines],
        env={"PYTHONPATH": str(REPOSITORY / "workflow"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    missing = {module.partition(".")[0] for module in done.stdout.split()} - OPTIONAL
    assert {module for module in missing if name not in UNUSED.get(module, ())} == set()


def test_jobs_run_in_the_environment_of_their_rule(environments, tmp_path, monkeypatch):
    workflow = copy_of_workflow(tmp_path / "checkout")
    for script in (workflow / "workflow/scripts").glob("*.py"):
        if not script.name.startswith("inventory_"):
            script.write_text(SCRIPT)
    tree = Tree(tmp_path / "raw", filled=True)
    tree.session("01", "01")
    for run in ("01", "02"):
        name = f"sub-01/ses-01/func/sub-01_ses-01_task-images_run-{run}_events.tsv"
        tree.events(name, ["a", "b"])
    programs = conda_stand_in.install(tmp_path / "conda")
    monkeypatch.setenv("PATH", conda_stand_in.environment(programs)["PATH"])
    config = {"bids_dir": "raw", "output_dir": "out", **SETTINGS}
    call = ("--cores", "2", "--sdm", "conda")
    done = snakemake(*call, cwd=tmp_path, repository=workflow, **config)
    assert done.returncode == 0, done.stdout[-4000:]
    # Snakemake keeps a copy of its file beside each environment.
    files = {path.with_suffix(""): path for path in (tmp_path / ".snakemake/conda").glob("*.yaml")}
    named = {(REPOSITORY / f"envs/{name}.yaml").read_text(): name for name in SETS}
    used = {}
    for line in (tmp_path / "out/interpreters.txt").read_text().splitlines():
        rule, prefix = line.split(" ", 1)
        used[rule] = named[files[Path(prefix)].read_text()]
    assert set(used.values()) == set(SETS)
    assert len(used) > 25
    # `sdc` is one of three rules, by the configuration.
    assert used.items() <= {(rule, name) for rule, name, _ in rules()}


def test_a_pin_that_nobody_has_stops_the_workflow(environments, tmp_path, monkeypatch):
    workflow = copy_of_workflow(tmp_path / "checkout")
    core = workflow / "envs/core.yaml"
    core.write_text(core.read_text().replace("h5py==", "h5py==999."))
    Tree(tmp_path / "raw", filled=True).session("01", "01")
    programs = conda_stand_in.install(tmp_path / "conda")
    monkeypatch.setenv("PATH", conda_stand_in.environment(programs)["PATH"])
    call = ("--cores", "1", "--sdm", "conda", "--conda-create-envs-only")
    done = snakemake(*call, cwd=tmp_path, repository=workflow, bids_dir="raw", output_dir="out")
    assert done.returncode != 0
    assert "h5py" in done.stdout
