"""What the command lines say on standard error: messages, and how far a stage has come."""

import sys
from collections.abc import Callable

from mebold.errors import MeboldError


def say(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def ended(work: Callable[[], None], *, wrote: str) -> int:
    """Do the work of a command line, say how it ended, and return its status.

    Returns
    -------
    int
        0, or 1 after a message about unusable input.
    """
    try:
        work()
    except MeboldError as error:
        say(f"error: {error}")
        return 1
    say(f"Wrote {wrote}")
    return 0


def reporter() -> Callable[[str, float], None]:
    """Return a function of stage and fraction that keeps one line per stage."""
    last = [("", -1)]

    def report(stage: str, fraction: float) -> None:
        percent = int(100 * fraction)
        if (stage, percent) == last[0]:
            return
        last[0] = stage, percent
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{stage:<12}{percent:4d} %" + ("\n" if percent == 100 else ""))
        elif percent == 100:
            sys.stderr.write(f"{stage}: done\n")
        sys.stderr.flush()

    return report


def duration(seconds: float) -> str:
    """Write a duration for people: ``42 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
