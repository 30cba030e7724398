"""What stands in an output folder, found in one walk and read when asked for."""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Entities that name whose file it is; all others say what it is.
_OWNING = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run")
_REPORT = "_tedana_report.html"
# Folders at the top that are no derivative dataset.
_OWN = ("work", "report", "logs")


@dataclass(frozen=True)
class File:
    """A file of an output folder.

    Attributes
    ----------
    dataset : str
        Derivative dataset that holds it.
    path : str
        Relative to the output folder, with forward slashes.
    owner : str
        Leading entities of its name, up to the run: ``sub-01_ses-01_task-images_run-01``; empty
        for a file of the whole dataset.
    rest : str
        The name without them: ``echo-2_desc-nordic_bold.png``.
    """

    dataset: str
    path: str
    owner: str
    rest: str


class Folder:
    """An output folder of the workflow, finished or not.

    Parameters
    ----------
    root : path-like
        The ``output_dir`` of a call. What is missing is missing: nothing here raises for it.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._files: dict[str, list[File]] = defaultdict(list)
        self._read: dict[str, object] = {}
        for file in self._walk():
            self._files[file.owner].append(file)

    @property
    def owners(self) -> list[str]:
        """Subjects, sessions, runs and groups of runs that have a file, sorted."""
        return sorted(self._files)

    def of(self, owner: str) -> list[File]:
        """Return the files of one owner, by path."""
        return self._files.get(owner, [])

    def find(self, owner: str, rest: str, dataset: str = "") -> list[File]:
        """Return the files of an owner whose further name and dataset match.

        Parameters
        ----------
        owner : str
        rest, dataset : str
            Regular expressions of the whole; an empty `dataset` takes all.
        """
        return [
            file
            for file in self.of(owner)
            if re.fullmatch(rest, file.rest)
            and (not dataset or re.fullmatch(dataset, file.dataset))
        ]

    def first(self, owner: str, rest: str, dataset: str = "") -> File | None:
        """Return the first of `find`, None without any."""
        return next(iter(self.find(owner, rest, dataset)), None)

    def json(self, owner: str, rest: str, dataset: str = "") -> dict:
        """Return the content of the first JSON file found; empty where there is none."""
        file = self.first(owner, rest, dataset)
        return self.read_json(file.path) if file else {}

    def read_json(self, path: str) -> dict:
        """Return a JSON file by its path in the folder; empty where it cannot be read."""
        if path not in self._read:
            try:
                self._read[path] = json.loads((self.root / path).read_text())
            except (OSError, ValueError):
                self._read[path] = {}
        found = self._read[path]
        return found if isinstance(found, dict) else {}

    def read_tsv(self, path: str) -> list[dict[str, str]]:
        """Return the rows of a table as text; empty where it cannot be read."""
        try:
            with (self.root / path).open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        except OSError:
            return []

    def read_text(self, path: str) -> str:
        """Return a text; empty where it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _walk(self) -> Iterator[File]:
        """Yield the files of the datasets; of what tedana left, its report alone."""
        root = str(self.root)
        for folder, folders, names in os.walk(root):
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            parts = [] if inside == "." else inside.split("/")
            if not parts:
                folders[:] = [name for name in folders if name not in _OWN]
                continue
            folders.sort()
            of_tedana = "tedana" in parts[1:]
            if of_tedana:
                folders[:] = [name for name in folders if name != "figures"]
            for name in sorted(names):
                if of_tedana and not name.endswith(_REPORT):
                    continue
                owner, rest = split(name)
                yield File(parts[0], f"{inside}/{name}", owner, rest)


def split(name: str) -> tuple[str, str]:
    """Split a file name into the entities that say whose it is, and the rest."""
    parts = name.split("_")
    count = 0
    while count < len(parts) - 1 and parts[count].partition("-")[0] in _OWNING:
        count += 1
    return "_".join(parts[:count]), "_".join(parts[count:])


def entities(owner: str) -> dict[str, str]:
    """Return the entities of an owner: ``{"sub": "01", "ses": "01"}``."""
    return dict(part.partition("-")[::2] for part in owner.split("_") if "-" in part)


def number(text: object) -> float | None:
    """Return a cell or a value as a number; None where it is none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if value == value and abs(value) != float("inf") else None
