"""Write the lock files and the conda environments: `make lock`.

One resolution (tools.lock) fixes every version. The environment of a rule is the closure of its
dependency set under that lock, so results are the same with and without conda. The conda part holds
only python and pip, because everything else has wheels with the versions that were tested.
"""

import argparse
import subprocess
import tomllib
from pathlib import Path

ENVS = Path(__file__).resolve().parent
PYTHON = "3.11"


def resolve(uv: str, requirements: str, *, constraints: Path | None = None) -> list[str]:
    """Return the exact pins of the closure of `requirements`, one ``name==version`` a line."""
    command = [uv, "pip", "compile", "-", "--python-version", PYTHON, "--no-header", "--quiet"]
    command += ["--no-emit-index-url", "--no-annotate", "--upgrade"]
    command += ["--config-file", str(ENVS / "uv.toml")]
    if constraints:
        command += ["--constraints", str(constraints)]
    done = subprocess.run(command, input=requirements, text=True, capture_output=True, check=True)
    return [line for line in done.stdout.splitlines() if "==" in line]


def environment(about: str, pins: list[str]) -> str:
    """Return the text of a conda environment file."""
    lines = [
        f"# {about}.",
        "# Generated from sets.toml and tools.lock by `make lock`: do not edit.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python ={PYTHON}",
        "  - pip",
        "  - pip:",
        *(f"      - {pin}" for pin in pins),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Resolve once, then write one file per dependency set."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--uv", default="uv", help="the uv program")
    parser.add_argument("--upgrade", action="store_true", help="move tools.lock to newer versions")
    arguments = parser.parse_args()
    lock = ENVS / "tools.lock"
    if arguments.upgrade or not lock.exists():
        lock.write_text("\n".join(resolve(arguments.uv, (ENVS / "tools.in").read_text())) + "\n")
    for name, group in tomllib.loads((ENVS / "sets.toml").read_text()).items():
        pins = resolve(arguments.uv, "\n".join(group["needs"]), constraints=lock)
        (ENVS / f"{name}.yaml").write_text(environment(group["about"], pins))


if __name__ == "__main__":
    main()
