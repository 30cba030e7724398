"""Simulate a raw BIDS multi-echo dataset with known truth.

``python -m mebold.phantom OUT --size tiny|group|demo|full|scanner`` writes OUT, a valid raw BIDS
dataset, and beside it OUT-truth, what the simulator knows; its README lists the keys.

Physics: a deformed MNI152 head; S0 exp(-TE R2*) with tissue R2*, image-specific BOLD as a
change of R2*, fluctuations of S0 and R2*; coil phase and off-resonance phase 2 pi f TE; every
slice acquired at its own time and head pose; displacement by f x readout time along the
phase-encoding axis with its intensity change; receive sensitivity fixed to the scanner; complex
thermal noise times a g-factor.
"""

import argparse
import ast
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from mebold.errors import ConfigError
from mebold.phantom.dataset import write_dataset
from mebold.phantom.spec import SIZES, make_spec


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mebold.phantom",
        description="Write a simulated raw BIDS multi-echo dataset, and its truth beside it.",
    )
    parser.add_argument("out", type=Path, help="folder of the dataset, new or empty")
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="+", metavar="LABEL", help="labels, default 01")
    parser.add_argument("--sessions", nargs="+", metavar="LABEL", help="labels")
    parser.add_argument(
        "--noise-volumes", type=int, default=0, metavar="N", help="noise-only volumes at the end"
    )
    parser.add_argument("--truth", type=Path, help="folder of the truth, default OUT-truth")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="any field of PhantomSpec, e.g. thermal_sigma=0",
    )
    return parser


def _assignment(text: str) -> tuple[str, object]:
    """Read NAME=VALUE; the value is a number, a tuple or a word."""
    name, found, value = text.partition("=")
    if not found:
        msg = f"--set expects NAME=VALUE, not {text!r}"
        raise ConfigError(msg)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args(argv)
    changes = {"seed": args.seed, "noise_volumes": args.noise_volumes}
    for name in ("subjects", "sessions"):
        if getattr(args, name):
            changes[name] = tuple(getattr(args, name))
    try:
        changes |= dict(_assignment(text) for text in args.changes)
        write_dataset(args.out, make_spec(args.size, **changes), truth=args.truth)
    except ConfigError as error:
        sys.stderr.write(f"mebold.phantom: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
