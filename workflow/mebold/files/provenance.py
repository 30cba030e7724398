"""What made a file: name, version and packages, for sidecars."""

import functools
import importlib.metadata
import tomllib
from collections.abc import Iterable
from pathlib import Path

NAME = "mebold"
CODE_URL = "https://github.com/mebold/mebold"


@functools.cache
def version() -> str:
    """Return the version of this library: that of the checkout around it, or as installed.

    It is read and not written here, so that a release is no change of the code that jobs hash.
    """
    project = Path(__file__).resolve().parents[3] / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text())["project"]["version"]
    try:
        return importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # the library alone, copied from somewhere


def generated_by(packages: Iterable[str] = ()) -> dict:
    """Return the ``GeneratedBy`` entry of a sidecar, with the versions of the packages used."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed as a package"
    return {"Name": NAME, "Version": version(), "Packages": versions}
