"""What the first process of a call hands to its jobs, which read the same Snakefile once more.

Each job of a cluster starts Snakemake twice. Run table, plan and references are as the first
process of its call saw them; making them again took a third of that time (`benchmarks/start.py`).
"""

import contextlib
import hashlib
import os
import pickle
import tempfile
from pathlib import Path

from mebold.jobs import calls

_PLACE = "tables"
_NAME = ".call-"


def write(work: str | Path, things: object) -> None:
    """Keep something for the jobs of this call, which has the lock of the output folder.

    Parameters
    ----------
    work : path-like
        Folder of the lock.
    things : object
        Anything that can be pickled.
    """
    path = _path(work)
    if path is None:
        return
    remove(work)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=_NAME)  # nobody else may write it
    with os.fdopen(handle, "wb") as file:
        pickle.dump(things, file)
    Path(partial).replace(path)


def read(work: str | Path) -> object | None:
    """Return what the call that started this job handed over, or None.

    A pickle is a program: one that is not mine, or that others may write, is not opened.

    Parameters
    ----------
    work : path-like
        Folder of the lock.
    """
    path = _path(work)
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & 0o077:
                return None
            return pickle.load(file)
    except (AttributeError, OSError, EOFError, pickle.UnpicklingError, ImportError):
        return None  # the job looks itself


def remove(work: str | Path) -> None:
    """Remove what this call and calls that were killed handed over."""
    for path in Path(work, _PLACE).glob(f"{_NAME}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _path(work: str | Path) -> Path | None:
    """Return the file of this call, which has its name from `calls.begin`; None outside of one."""
    name = calls.name()
    if not name:
        return None
    key = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Path(work, _PLACE, f"{_NAME}{key}.pickle")
