"""What made a file: name, version and packages, for sidecars."""

import importlib.metadata
from collections.abc import Iterable

NAME = "mebold"
VERSION = "0.1.0"
CODE_URL = "https://github.com/mebold/mebold"


def generated_by(packages: Iterable[str] = ()) -> dict:
    """Return the ``GeneratedBy`` entry of a sidecar, with the versions of the packages used."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed as a package"
    return {"Name": NAME, "Version": VERSION, "Packages": versions}
