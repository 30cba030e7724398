"""Processes of this machine: whether what one left behind is still in use."""

import contextlib
import os
from pathlib import Path


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
