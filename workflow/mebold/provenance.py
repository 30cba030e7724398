"""What made a file: versions for sidecars, and content hashes that make Snakemake rerun."""

import ast
import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
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


@functools.cache  # the scripts share most modules, and every cluster job parses the Snakefile
def _imports(source: str) -> frozenset[str]:
    """Return the names of this package's modules that a source text imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        names |= {m.split(".")[1] for m in modules if m.startswith(f"{NAME}.")}
    return frozenset(names)


@functools.cache
def _source(path: Path) -> str:
    return path.read_text()


@functools.cache
def code_hash(path: str | Path) -> str:
    """Hash a script together with every module of the library that it uses, however indirectly.

    A parameter with this hash makes an edit of the script or of a module rerun the jobs that use
    it, and no others. Snakemake's own trigger for code sees no imported modules, and goes by the
    date of the script, which a fresh clone changes.

    Parameters
    ----------
    path : path-like
        A Python script.

    Returns
    -------
    str
        Hexadecimal digest, 16 characters.
    """
    script = _source(Path(path))
    found: dict[str, str] = {}
    waiting = set(_imports(script))
    while waiting:
        name = waiting.pop()
        module = _PACKAGE / f"{name}.py"
        if name in found or not module.exists():
            continue
        found[name] = _source(module)
        waiting |= _imports(found[name])
    digest = hashlib.sha256(script.encode())
    for name in sorted(found):
        digest.update(f"{name}\n{found[name]}\n".encode())
    return digest.hexdigest()[:16]
