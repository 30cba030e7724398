"""Peak memory of this process, for the benchmarks beside this file."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path


def _status(key: str) -> int:
    """Return a size of /proc/self/status in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) * 1024


def resident_bytes() -> int:
    """Return the largest resident set of this program so far.

    Not `getrusage`: after a fork its maximum goes on from the parent's, data synthesis included.
    """
    return _status("VmHWM")


@contextlib.contextmanager
def watch_anonymous(*, every_s: float = 0.02) -> Iterator[list[int]]:
    """Follow the resident set without the pages of mapped files, which the kernel can take back.

    Yields a list whose only entry is the largest number of bytes seen so far.
    """
    largest, end = [_status("RssAnon")], threading.Event()

    def follow() -> None:
        while not end.wait(every_s):
            largest[0] = max(largest[0], _status("RssAnon"))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield largest
    finally:
        end.set()
        thread.join()
