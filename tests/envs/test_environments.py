"""Environments: pinned like the lock, named by every rule, and holding what the rule imports."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from rule_environments import OPTIONAL, SETS, UNUSED, rules

from mebold.jobs.code_hash import modules_of

REPOSITORY = Path(__file__).resolve().parents[2]


def pins_of(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.strip().split("==") for line in lines if "==" in line)


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())
    assert content["dependencies"][:2] == ["python =3.11", "pip"]
    return dict(pin.split("==") for pin in content["dependencies"][2]["pip"])


def imported(script: Path) -> set[str]:
    """Return the top-level packages that a script and its modules of the library import."""
    names = set()
    for file in [script, *modules_of(script)]:
        for node in ast.walk(ast.parse(file.read_text())) if file.suffix == ".py" else ():
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"mebold"}


@pytest.mark.parametrize("name", SETS)
def test_pins_are_those_of_the_lock(name):
    lock = pins_of(REPOSITORY / "envs/tools.lock")
    pins = environment(name)
    assert pins
    assert {key: lock.get(key) for key in pins} == pins
    assert set(SETS[name]["needs"]) <= set(pins)


def test_installed_versions_are_those_of_the_lock():
    lock = pins_of(REPOSITORY / "envs/tools.lock")
    for name in ("numpy", "scipy", "tedana", "antspyx", "snakemake", "pybids"):
        assert importlib.metadata.version(name) == lock[name]


def test_the_executor_is_read_otherwise_than_it_says_for_numpy_alone():
    """The lock holds tools and executor, because envs/uv.toml takes numpy's lower limit away."""
    name = "snakemake-executor-plugin-slurm"
    settings = tomllib.loads((REPOSITORY / "envs/uv.toml").read_text())
    (replaced,) = settings["dependency-metadata"]
    lock = pins_of(REPOSITORY / "envs/tools.lock")
    assert (replaced["name"], replaced["version"]) == (name, lock[name])

    def limits(requirements):
        found = (re.match(r"([\w.-]+)(.*)", text).groups() for text in requirements)
        return {key: set(value.split(",")) for key, value in found}

    said, read = limits(importlib.metadata.requires(name)), limits(replaced["requires-dist"])
    assert said.pop("numpy") != read.pop("numpy")
    assert said == read


def test_no_lock_names_an_index():
    for path in (REPOSITORY / "envs").iterdir():
        if path.suffix in (".lock", ".yaml", ".toml", ".in"):
            assert "://" not in path.read_text(), path.name


@pytest.mark.parametrize(("rule", "name", "script"), rules())
def test_environment_holds_what_the_script_imports(rule, name, script):
    pins = {re.sub(r"[-_.]+", "-", key).lower() for key in environment(name)}
    owners = importlib.metadata.packages_distributions()
    missing = set()
    for package in imported(REPOSITORY / f"workflow/scripts/{script}.py") - OPTIONAL:
        if name in UNUSED.get(package, ()):
            continue
        names = {re.sub(r"[-_.]+", "-", dist).lower() for dist in owners.get(package, [package])}
        if not names & pins:
            missing.add(package)
    assert not missing, f"rule {rule} imports {sorted(missing)}, not in envs/{name}.yaml"


def test_the_image_takes_what_the_workflow_is_made_of():
    lines = (REPOSITORY / "envs/Dockerfile").read_text().splitlines()
    taken = [part for line in lines if line.startswith("COPY ") for part in line.split()[1:-1]]
    admitted = (REPOSITORY / ".dockerignore").read_text().split()
    assert {"Snakefile", "workflow", "config", "envs", "profiles", "envs/tools.lock"} <= set(taken)
    for name in taken:
        assert (REPOSITORY / name).exists(), name
        assert f"!{name.partition('/')[0]}" in admitted, name
