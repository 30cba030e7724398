"""Processes of this machine: whether what one left behind is still in use, and their memory."""

import contextlib
import os
from pathlib import Path

# What a container may take, where it is bounded: cgroups of version 2 and 1.
_BOUNDS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_mb(bounds: tuple[Path, ...] = _BOUNDS) -> int | None:
    """Return the memory in MB that processes of this machine can have; None where it is unknown.

    Parameters
    ----------
    bounds : tuple of path
        Files that may hold a bound in bytes, of the container that this is.
    """
    known = []
    with contextlib.suppress(OSError, ValueError):  # a system without these names
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in bounds:
        with contextlib.suppress(OSError, ValueError):  # version 2 says "max" for none
            known.append(int(path.read_text()))
    return min(known) // 10**6 if known else None


def started(process: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None if there is none.

    Numbers of processes are used again, so a number alone does not tell who is meant. One that has
    ended and that its parent did not ask about yet, as in containers without an init, is none.
    """
    about = Path(f"/proc/{process}")
    with contextlib.suppress(OSError):
        # The name in parentheses may hold anything; the 3rd field is the first after it.
        fields = (about / "stat").read_text().rpartition(")")[2].split()
        # The first thread may have ended before others that still write.
        if fields[0] in "ZX" and len(list((about / "task").iterdir())) <= 1:
            return None
        return fields[19]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # it is somebody else's
    return "unknown"
