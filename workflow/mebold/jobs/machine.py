"""What the machine of a call has for its jobs."""

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
