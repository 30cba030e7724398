"""Content hashes of scripts with what they use of the library: they make Snakemake rerun."""

import functools
import hashlib
import re
from pathlib import Path

_LIBRARY = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(
    r"^[ \t]*(?:from (mebold[\w.]*) import (\([^)]*\)|[^\n(]*)|import (mebold[\w.]*))", re.MULTILINE
)
_NOTE = re.compile(r"[()\n]|#[^\n]*")


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
    return [file for file in _listing(place.parent) if file.name.startswith(f"{place.name}.")]


@functools.cache
def _listing(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []


@functools.cache  # the scripts share most modules, and every cluster job parses the Snakefile
def _imports(file: Path) -> frozenset[str]:
    """Return the dotted names of the library that a file imports, at any depth of its code.

    By expression, a thirtieth of the time of Python's own parser: imports are statements of one
    form here (ruff), one module a line or names in parentheses.
    """
    names: set[str] = set()
    for module, listed, alone in _IMPORT.findall(_bytes(file).decode()):
        found = [name.split(" as ")[0].strip() for name in _NOTE.sub("", listed).split(",")]
        names |= {alone or module, *(f"{module}.{name}" for name in found if name)}
    return frozenset(name for name in names if name.startswith("mebold."))


@functools.cache
def _bytes(file: Path) -> bytes:
    return file.read_bytes()
