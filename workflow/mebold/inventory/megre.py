"""Multi-echo gradient echoes of the anatomy: which images belong together, and what they allow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mebold.inventory.findings import Finding, series_of, warning

#: T2* and S0 are two numbers: three echoes can show that they are wrong.
FEWEST_ECHOES = 3
_FEWEST_PHASES = 2


@dataclass
class Megre:
    """Echoes of one acquisition, by ascending echo time.

    Attributes
    ----------
    stem, folder, subject : str
    magnitudes, phases : list of dict
        Rows of the run table; phases of echoes that have a magnitude.
    problem : str
        Why no T2* can be fitted; empty if it can.
    """

    stem: str
    folder: str
    subject: str
    magnitudes: list[dict] = field(default_factory=list)
    phases: list[dict] = field(default_factory=list)
    problem: str = ""

    @property
    def has_field(self) -> bool:
        """Whether the phases of several echoes give a field."""
        return not self.problem and len(self.phases) >= _FEWEST_PHASES


def _gather(rows: Iterable[dict]) -> list[Megre]:
    found: dict[tuple, Megre] = {}
    for row in rows:
        if row["suffix"] != "MEGRE":
            continue
        key = row["folder"], row["stem"]
        one = found.setdefault(key, Megre(row["stem"], row["folder"], row["subject"]))
        if row["component"] == "mag":
            one.magnitudes.append(row)
        elif row["component"] == "phase":
            one.phases.append(row)
    for one in found.values():
        one.problem = _problem(one)
        for images in (one.magnitudes, one.phases):
            images.sort(key=lambda row: row["echo_time"] or 0.0)
        known = {row["echo_time"] for row in one.magnitudes}
        one.phases = [row for row in one.phases if row["echo_time"] in known]
        if len(one.phases) != len(one.magnitudes):
            one.phases = []
    return list(found.values())


def _problem(one: Megre) -> str:
    untimed = [row for row in one.magnitudes if row["echo_time"] is None]
    if untimed:
        return f"{untimed[0]['path']} has no EchoTime"
    if any(series_of(row) for row in one.magnitudes):
        return "an echo is a series of volumes, one file with one volume per echo is needed"
    if len({row["echo_time"] for row in one.magnitudes}) < len(one.magnitudes):
        return "two echoes have the same EchoTime"
    if len(one.magnitudes) < FEWEST_ECHOES:
        return f"{len(one.magnitudes)} magnitude(s), T2* needs {FEWEST_ECHOES} echoes"
    shapes = {tuple(row["shape"]) for row in one.magnitudes if row["shape"]}
    return f"its echoes differ in matrix ({sorted(shapes)})" if len(shapes) > 1 else ""


def collect(rows: Iterable[dict]) -> list[Megre]:
    """Return the acquisitions of which T2* can be fitted, in the order of the rows."""
    return [one for one in _gather(rows) if not one.problem]


def rules(rows: Iterable[dict]) -> Iterator[Finding]:
    """Say of which acquisitions no T2* is fitted, and why."""
    for one in _gather(rows):
        if one.problem:
            path = (one.magnitudes or one.phases)[0]["path"] if one.magnitudes or one.phases else ""
            message = f"no T2* map is made of {one.stem}: {one.problem}"
            yield warning(path or one.stem, "MEGRE", message, "Complete it, or leave it as it is")
