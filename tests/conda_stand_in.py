"""A `conda` for tests, made of uv: it answers what Snakemake asks, and makes environments.

It takes files as `envs/generate.py` writes them and nothing else: channels, `python =3.11`, `pip`
and exact pins for pip. An environment is made of just these pins, without what they would ask for
themselves, so that a pin that is missing is missed. What it cannot tell is whether conda itself
would find the same.
"""

import itertools
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import yaml

UV = Path(__file__).resolve().parents[1] / ".uv/bin/uv"
_ACTIVATE = """# $1: environment
export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"
"""


def install(folder: Path) -> Path:
    """Write `conda` and `activate` into a folder and return it, for PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(_ACTIVATE)
    conda = programs / "conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    conda.chmod(conda.stat().st_mode | stat.S_IXUSR)
    return programs


def environment(programs: Path) -> dict[str, str]:
    """Return the variables of a process that finds this conda."""
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def pins(path: Path) -> list[str]:
    """Read the pins of an environment file; ValueError where it is none of ours."""
    content = yaml.safe_load(path.read_text())
    if content["channels"] != ["conda-forge", "nodefaults"]:
        raise ValueError(f"{path}: channels {content['channels']}")
    python, pip, packages = content["dependencies"]
    if (python, pip, [*packages]) != ("python =3.11", "pip", ["pip"]):
        raise ValueError(f"{path}: dependencies {content['dependencies'][:2]}")
    for pin in packages["pip"]:
        if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin):
            raise ValueError(f"{path}: {pin} is no exact pin")
    return packages["pip"]


def create(file: Path, prefix: Path) -> None:
    """Make an environment of the pins of a file."""
    names = pins(file)
    asked = prefix.with_suffix(".pins.txt")
    asked.write_text("\n".join(names) + "\n")
    subprocess.run([UV, "venv", "--quiet", "--python", "3.11", prefix], check=True)
    command = [UV, "pip", "install", "--quiet", "--no-deps", "--link-mode", "hardlink"]
    command += ["--python", prefix / "bin/python", "-r", asked]
    subprocess.run(command, check=True)


def main(words: list[str]) -> None:
    """Answer one call."""
    if words == ["--version"]:
        print("conda 24.7.1")
    elif words == ["info", "--json"]:
        here = subprocess.run(["which", "conda"], capture_output=True, text=True, check=True)
        prefix = Path(here.stdout.strip()).parents[1]
        print(json.dumps({"conda_prefix": str(prefix), "platform": "linux-64"}))
    elif words[:3] == ["config", "--get", "channel_priority"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif words[0] == "clean":
        pass  # there is nothing to clean
    elif words[:2] == ["env", "create"]:
        given = dict(itertools.pairwise(words))
        create(Path(given["--file"]), Path(given["--prefix"]))
    else:
        sys.exit(f"conda: this stand-in does not know {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
