"""Runs of a run table: the echoes, parts and references that belong to one acquisition."""

from dataclasses import dataclass, field

import pandas as pd

from mebold.inventory.table import records


@dataclass
class Run:
    """One BOLD run with all its images.

    Attributes
    ----------
    stem, folder, group : str
        See the run table.
    bold, sbref, norf : dict
        Component (``mag``, ``phase``, ...) to rows of the run table by ascending echo; ``norf`` are
        noise scans, acquired without excitation.
    """

    stem: str
    folder: str
    group: str
    bold: dict[str, list[dict]] = field(default_factory=dict)
    sbref: dict[str, list[dict]] = field(default_factory=dict)
    norf: dict[str, list[dict]] = field(default_factory=dict)

    @property
    def subject_task(self) -> str:
        """Group of the run without its session: ``sub-01_task-images``."""
        return self.group.replace(f"_ses-{self.first['session']}", "", 1)

    @property
    def images(self) -> list[dict]:
        """All rows of BOLD images."""
        return [row for rows in self.bold.values() for row in rows]

    @property
    def first(self) -> dict:
        """Row of the first magnitude echo, or of the first image where there is none."""
        return (self.bold.get("mag") or self.images)[0]

    @property
    def n_echoes(self) -> int:
        """Number of echoes."""
        return len({row["echo_index"] for row in self.images})

    @property
    def echo_times(self) -> list[float | None]:
        """Echo times in seconds, ascending; None where a single echo does not say."""
        return [row["echo_time"] for row in self.bold["mag"]]

    @property
    def echo_entities(self) -> list[str]:
        """How names of the run go on for each echo: ``_echo-1``, or nothing for one echo."""
        return [f"_echo-{row['echo']}" if row["echo"] else "" for row in self.bold["mag"]]

    @property
    def single_echo(self) -> int:
        """Position of the echo of the single-echo variants: the middle one."""
        return len(self.bold["mag"]) // 2

    def echo_position(self, number: int) -> int:
        """Position (from 0) of echo `number` (from 1); the last one where there are fewer."""
        return min(number, len(self.bold["mag"])) - 1

    def sbref_at(self, position: int) -> dict | None:
        """Row of the magnitude SBRef of the echo at a position (from 0), None without one."""
        echo = self.bold["mag"][position]["echo_index"]
        return next((r for r in self.sbref.get("mag", []) if r["echo_index"] == echo), None)

    def paths(self, suffix: str, component: str = "mag") -> list[str]:
        """Paths in the dataset of the images of a kind by ascending echo; may be empty.

        Parameters
        ----------
        suffix : {"bold", "sbref", "noRF"}
        component : {"mag", "phase"}
        """
        images = {"bold": self.bold, "sbref": self.sbref, "noRF": self.norf}[suffix]
        return [row["path"] for row in images.get(component, [])]

    @property
    def refusal(self) -> str | None:
        """The sentence that says why this run cannot be processed at all, or None."""
        timed = [row for row in self.images if row["volume_timing"]]
        if timed and all(row["repetition_time"] is None for row in self.images):
            return (
                "run refused: VolumeTiming is given instead of RepetitionTime, and volumes at "
                "irregular times are not supported"
            )
        return None


def collect(table: pd.DataFrame) -> list[Run]:
    """Gather the BOLD, SBRef and noRF rows of a run table into runs, in the order of the table.

    Parameters
    ----------
    table : DataFrame
        As from `mebold.inventory.index`.

    Returns
    -------
    list of Run
        Runs with at least one BOLD image.
    """
    runs: dict[tuple, Run] = {}
    for row in records(table):
        if row["datatype"] != "func":
            continue
        key = row["folder"], row["stem"]
        run = runs.setdefault(key, Run(row["stem"], row["folder"], row["group"]))
        images = {"bold": run.bold, "noRF": run.norf}.get(row["suffix"], run.sbref)
        images.setdefault(row["component"], []).append(row)
    for run in runs.values():
        for images in (*run.bold.values(), *run.sbref.values(), *run.norf.values()):
            images.sort(key=lambda row: row["echo_index"] or 0)
    return [run for run in runs.values() if run.bold]
