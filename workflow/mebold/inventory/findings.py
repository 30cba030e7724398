"""What the checks of a data set report: a sentence with file, key and fix, and its weight."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_MOST_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """Something in the data set that leaves images out, or should be known.

    Attributes
    ----------
    severity : str
        ``error`` leaves out what cannot be used because of it (see `left_out.examine`), or stops
        with ``strict``; ``refused`` plans nothing for one run; ``warning`` changes nothing.
    path : str
        Dataset-relative path of the file.
    key : str
        Sidecar key, entity or property.
    message, fix : str
        What is wrong, and what to do about it.
    """

    severity: Literal["error", "refused", "warning"]
    path: str
    key: str
    message: str
    fix: str

    def __str__(self) -> str:
        """Return one line: file, key, message and fix."""
        return f"{self.path}: {self.key}: {self.message}. {self.fix}."


def error(path: str, key: str, message: str, fix: str) -> Finding:
    """Return a finding that leaves out what it concerns."""
    return Finding("error", path, key, message, fix)


def refused(path: str, key: str, message: str, fix: str) -> Finding:
    """Return a finding that leaves one run out."""
    return Finding("refused", path, key, message, fix)


def warning(path: str, key: str, message: str, fix: str) -> Finding:
    """Return a finding that changes nothing."""
    return Finding("warning", path, key, message, fix)


def summary(findings: Iterable[Finding], *, every: bool = False) -> str:
    """Return findings as lines, those that differ only in the file as one.

    Three of the files are named, or `every` one; of refused runs always every one.
    """
    alike: dict[tuple, list[Finding]] = {}
    for finding in findings:
        key = finding.severity, finding.key, finding.message, finding.fix
        alike.setdefault(key, []).append(finding)
    lines = []
    for (severity, *_), group in alike.items():
        names = named([f.path for f in group], every=every or severity == "refused")
        more = f" ({len(group)} files: {names})" if len(group) > 1 else ""
        lines.append(f"{severity}: {group[0]}{more}\n")
    return "".join(lines)


def named(names: Iterable[str], *, every: bool = False) -> str:
    """Return names with commas between, the first three and how many more, or `every` one."""
    names = list(names)
    shown = names if every else names[:_MOST_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more


def listed(values: Iterable[float | None]) -> str:
    """Return numbers in ascending order, with commas."""
    return ", ".join(f"{value:g}" for value in sorted(set(values) - {None}))


def series_of(row: dict) -> bool:
    """Return whether an image holds several volumes; (x, y, z, 1) is one."""
    return bool(row["shape"]) and bool(set(row["shape"][3:]) - {1})


def by(shape: Iterable[int]) -> str:
    """Return a shape as ``90 x 110 x 72 x 160``."""
    return " x ".join(map(str, shape))
