"""One process at a time writes into an output folder, from whatever working directory.

Snakemake's own lock is of the working directory: two calls in two folders would run the same jobs
into one output.
"""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from mebold.errors import DataError
from mebold.processes import started

_NAME = ".lock.json"


def acquire(folder: str | Path, **about: object) -> Path:
    """Take the lock of a folder.

    Parameters
    ----------
    folder : path-like
        Made if absent.
    **about
        What else the lock should say of its holder.

    Returns
    -------
    Path
        The lock file: host, process and time. That of a process of this host that has ended
        (killed) is replaced.

    Raises
    ------
    DataError
        When another process holds the folder; with its host, number and time, and what to do if
        it has ended. When the file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    mine = {
        "Host": socket.gethostname(),
        "Process": os.getpid(),
        "Started": started(os.getpid()),
        "Since": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
    }
    for _ in range(2):
        try:
            _create(path, json.dumps(mine, indent=2))
        except FileExistsError:
            other = holder(folder)
            if _same(other, mine):
                return path
            if ended(other):
                path.unlink(missing_ok=True)
                continue
            break
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}.") from error
        return path
    other = holder(folder)
    raise DataError(
        f"{folder} is in use: process {other.get('Process', '?')} on {other.get('Host', '?')} "
        f"writes there since {other.get('Since', '?')}. Wait for it, or, if it has ended (a node "
        f"that went down), remove {path} and start again."
    )


def release(folder: str | Path) -> None:
    """Give the lock back; that of another process stays."""
    path = Path(folder) / _NAME
    held = holder(folder)
    if held.get("Process") == os.getpid() and held.get("Host") == socket.gethostname():
        path.unlink(missing_ok=True)


def held(folder: str | Path) -> bool:
    """Tell whether a process writes into a folder now; one of another host is taken at its word."""
    other = holder(folder)
    return bool(other) and not ended(other)


def holder(folder: str | Path) -> dict:
    """Return what the lock of a folder says of its holder; empty where nobody holds it."""
    try:
        return json.loads((Path(folder) / _NAME).read_text())
    except (OSError, ValueError):
        return {}


def _create(path: Path, text: str) -> None:
    """Make a file with its content at once, or raise FileExistsError: never an empty lock."""
    beside = path.with_name(f"{path.name}-{socket.gethostname()}-{os.getpid()}")
    try:
        beside.write_text(text)
        os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _same(held: dict, mine: dict) -> bool:
    return all(held.get(key) == mine[key] for key in ("Host", "Process", "Started"))


def ended(held: dict) -> bool:
    """Tell whether a lock is surely left over: its process was of this host and is no more."""
    if held.get("Host") != socket.gethostname() or not isinstance(held.get("Process"), int):
        return False
    return started(held["Process"]) != held.get("Started")
