"""The library can be installed: its wheel holds every module and table, and works alone."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY = REPOSITORY / "workflow" / "mebold"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SETS = tomllib.loads((REPOSITORY / "envs/sets.toml").read_text())

USE = """
import numpy as np
from mebold.files.provenance import version
from mebold.nordic.denoise import nordic
from mebold.singletrial import hrf

series = np.random.default_rng(0).normal(1000, 10, (16, 16, 4, 20)).astype(np.float32)
options = {"kernel_size": (4, 4, 4), "gfactor_kernel_size": (5, 5, 1)}
found = nordic(series, None, **options).magnitude
print(found.shape, found.std() < series.std(), hrf.library(1.0, 2.0).shape, version(), hrf.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel and unpack it as an installation does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("mebold-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_whole_library(installed):
    ours = {path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.*") if path.suffix != ".pyc"}
    ours = {path for path in ours if "__pycache__" not in path.parts}
    theirs = {path.relative_to(installed / "mebold") for path in installed.rglob("mebold/**/*.*")}
    assert theirs == ours | {Path("schemas", "config.schema.yaml")}


def test_it_works_outside_the_checkout(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith("(16, 16, 4, 20) True ")
    assert PROJECT["version"] in done.stdout
    assert str(installed) in done.stdout


@pytest.mark.parametrize("name", SETS)
def test_extras_are_the_environments(name):
    extra = PROJECT["optional-dependencies"][name]
    assert set(SETS[name]["needs"]) <= {*PROJECT["dependencies"], *extra}
    assert set(extra) <= set(SETS[name]["needs"])
