"""Content hashes of scripts with what they use of the library: they make Snakemake rerun."""

import ast
import functools
import hashlib
from pathlib import Path

_LIBRARY = Path(__file__).resolve().parents[1]


@functools.cache
def code_hash(script: str | Path) -> str:
    """Hash a script together with every file of the library that it uses, however indirectly.

    A parameter with this hash makes an edit of the script or of a module rerun the jobs that use
    it, and no others. Snakemake's own trigger for code sees no imported modules, and goes by the
    date of the script, which a fresh clone changes.

    Parameters
    ----------
    script : path-like
        A Python script.

    Returns
    -------
    str
        Hexadecimal digest, 16 characters.
    """
    digest = hashlib.sha256(_bytes(Path(script)))
    for file in modules_of(script):
        digest.update(f"\n{file.relative_to(_LIBRARY).as_posix()}\n".encode())
        digest.update(_bytes(file))
    return digest.hexdigest()[:16]


def modules_of(script: str | Path) -> list[Path]:
    """Return the files of the library that a script uses, however indirectly.

    Packages hold no code and are left out. A file of another kind with the stem of a module
    (``hrf.tsv`` beside ``hrf.py``) is data of that module.
    """
    found: set[Path] = set()
    waiting = set(_imports(Path(script)))
    while waiting:
        for file in _files(waiting.pop()):
            if file not in found:
                found.add(file)
                if file.suffix == ".py":
                    waiting |= _imports(file)
    return sorted(found)


@functools.cache
def _files(name: str) -> list[Path]:
    """Return the module of a dotted name and the data beside it; none for a package."""
    place = _LIBRARY.joinpath(*name.split(".")[1:])
    return [file for file in place.parent.glob(f"{place.name}.*") if file.is_file()]


@functools.cache  # the scripts share most modules, and every cluster job parses the Snakefile
def _imports(file: Path) -> frozenset[str]:
    """Return the dotted names of the library that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(_bytes(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if name.startswith("mebold."))


@functools.cache
def _bytes(file: Path) -> bytes:
    return file.read_bytes()
