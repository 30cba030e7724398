"""Processes of this machine: whether what one left behind is still in use."""

import contextlib
import os
from pathlib import Path


def started(process: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None if there is none.

    Numbers of processes are used again, so a number alone does not tell who is meant.
    """
    with contextlib.suppress(OSError):
        # The name in parentheses may hold anything; the 22nd field is the 20th after it.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # it is somebody else's
    return "unknown"
