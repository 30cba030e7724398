"""From a BIDS tree to the run table: one row per raw image, indexed once and cached."""

import functools
import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from mebold.errors import MetadataError
from mebold.files import bids
from mebold.files.tables import read_json, write_json
from mebold.inventory import events, pairing
from mebold.inventory.rows import row, wanted
from mebold.inventory.selection import natural, select
from mebold.inventory.table import COLUMNS, frame, read_table, records, write_table
from mebold.inventory.tree import File, Inheritance, read_sidecar, walk

logger = logging.getLogger(__name__)
#: Echo times of a series and its SBRef that differ by less are the same, s.
_SAME_ECHO_S = 5e-4
_NO_SIDECARS = ("dataset_description.json", "participants.json", "participants.tsv")


def index(
    bids_dir: str | Path,
    *,
    participant_labels: Iterable[str] | None = None,
    session_labels: Iterable[str] | None = None,
    task_labels: Iterable[str] | None = None,
    event_columns: Iterable[str] = events.USUAL_COLUMNS,
    assign: str = "named",
) -> pd.DataFrame:
    """Index a raw BIDS dataset.

    Parameters
    ----------
    bids_dir : path-like
        Root of the dataset.
    participant_labels, session_labels, task_labels : iterable of str, optional
        With or without ``sub-``, ``ses-`` and ``task-``; all by default. Sessions select BOLD and
        fieldmaps, tasks select BOLD; anatomy comes from every session of a selected subject.
    event_columns : iterable of str, optional
        Columns of the events whose values the table keeps beside the onsets.
    assign : {"named", "session"}
        Which runs a fieldmap may correct that names other runs; see `mebold.inventory.pairing`.

    Returns
    -------
    DataFrame
        One row per BOLD, SBRef, fieldmap and anatomical image, sorted by path; columns and their
        kinds in `mebold.inventory.table.COLUMNS`. Paths are relative to the dataset, times in
        seconds (``acquisition_time`` since midnight), sizes in mm.

    Raises
    ------
    MetadataError
        When the folder holds no such image, or a label is unknown. A damaged sidecar stands in the
        column ``problem`` of its images.
    """
    root, files = _listing(bids_dir)
    chosen = select(root, files, participant_labels, session_labels, task_labels)
    return frame(_derive(root, files, _index_rows(root, files, chosen), event_columns, assign))


def refresh(
    bids_dir: str | Path,
    table_path: str | Path,
    *,
    participant_labels: Iterable[str] | None = None,
    session_labels: Iterable[str] | None = None,
    task_labels: Iterable[str] | None = None,
    event_columns: Iterable[str] = events.USUAL_COLUMNS,
    assign: str = "named",
) -> tuple[pd.DataFrame, Callable[[], None]]:
    """Bring a cached run table up to date, and return it with a way to keep it.

    A listing of names, sizes and times of change, kept beside the table, tells which sessions
    changed; only those are indexed again, and nothing is written when none did.

    Parameters
    ----------
    bids_dir, participant_labels, session_labels, task_labels, event_columns, assign
        See `index`.
    table_path : path-like
        The table; ``<table_path>.listing.json`` beside it holds the listing.

    Returns
    -------
    table : DataFrame
    keep : callable
        Writes table and listing, if anything changed. Until it is called no file is touched: a
        dry-run leaves none behind, and only who holds the output folder may write there.

    Raises
    ------
    MetadataError
        See `index`; the old table then stays as it is.
    """
    root, files = _listing(bids_dir)
    chosen = select(root, files, participant_labels, session_labels, task_labels)
    prints = _fingerprints(files, chosen)
    table_path = Path(table_path)
    listing = table_path.with_name(table_path.name + ".listing.json")
    columns = sorted(set(event_columns))
    state = {"bids_dir": str(root), "columns": list(COLUMNS), "event_columns": columns}
    state["assign"] = assign
    before, old = _cached(table_path, listing, state)
    if before == prints:
        return old, lambda: None
    kept_folders = {folder for folder, print_ in prints.items() if before.get(folder) == print_}
    new = [file for file in chosen if file.part_of not in kept_folders]
    kept = [r for r in records(old) if r["folder"] in kept_folders] if kept_folders else []
    logger.info("Indexing %d images; %d rows are up to date.", len(new), len(kept))
    table = frame(_derive(root, files, kept + _index_rows(root, files, new), columns, assign))

    def keep() -> None:
        write_table(table, table_path)
        write_json(listing, state | {"listing": prints})

    return table, keep


def _cached(table_path: Path, listing: Path, state: dict) -> tuple[dict, pd.DataFrame | None]:
    """Return the listing and the table of the last time, when they are of use."""
    try:
        noted = read_json(listing)
        prints = noted.pop("listing")
        return (prints, read_table(table_path)) if noted == state else ({}, None)
    except (OSError, ValueError, KeyError, AttributeError):
        return {}, None


def _listing(bids_dir: str | Path) -> tuple[Path, list[File]]:
    root = Path(bids_dir).resolve()
    if not root.is_dir():
        message = f"bids_dir: {bids_dir} is no folder; give the root of a raw BIDS dataset."
        raise MetadataError(message)
    return root, list(walk(root))


def _fingerprints(files: list[File], chosen: list[File]) -> dict[str, str]:
    """Return folder to a hash of the listing of all that its rows depend on."""
    images, described = defaultdict(list), defaultdict(list)
    for file in chosen:
        images[file.part_of].append(file)
    for file in files:
        name = file.path.rsplit("/", 1)[-1]
        if name.endswith((".json", "_events.tsv", "_scans.tsv")) and name not in _NO_SIDECARS:
            described[file.part_of].append(file)
    prints = {}
    for folder, own in images.items():
        parents = {"", folder.split("/")[0], folder}
        listed = sorted([*own, *(f for parent in parents for f in described[parent])], key=str)
        text = "\n".join(f"{f.path} {f.size} {f.changed}" for f in listed)
        prints[folder] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return prints


def _index_rows(root: Path, files: list[File], images: list[File]) -> list[dict]:
    """Describe images with their inherited sidecars, without what depends on other images."""
    sidecars = Inheritance([f.path for f in files if f.path.endswith(".json")])
    times = _scan_times(root, [f.path for f in files if f.path.endswith("_scans.tsv")])
    read = functools.cache(lambda path: read_sidecar(root / path))  # one serves many images
    rows = []
    for file in images:
        try:
            _require_own_folder(file)
            metadata = {}
            for path in sidecars.applicable(file.path):
                metadata |= read(path)
            rows.append(row(root, file, metadata, scan_time=times.get(file.path)))
        except MetadataError as error:  # a finding of the checks: other images are not concerned
            if "subject" not in bids.parse(file.path):
                raise
            bare = row(root, file, {}, scan_time=times.get(file.path))
            place = {"folder": file.part_of, "subject": file.part_of[4:].split("/")[0]}
            rows.append(bare | place | {"problem": str(error)})
    return rows


def _require_own_folder(file: File) -> None:
    entities = bids.parse(file.path)
    named = bids.folder(entities.get("subject"), entities.get("session"))
    if named != file.part_of:
        message = (
            f"{file.path}: the name says {named or 'no subject'}, but the file lies in "
            f"{file.part_of}. Rename or move it."
        )
        raise MetadataError(message)


def _scan_times(root: Path, paths: list[str]) -> dict[str, str]:
    """Return image path to the ``acq_time`` of the scans files."""
    times = {}
    for path in paths:
        lines = (root / path).read_text(encoding="utf-8-sig").splitlines()
        header = lines[0].split("\t") if lines else []
        if not {"filename", "acq_time"} <= set(header):
            continue
        for cells in (line.split("\t") for line in lines[1:]):
            if len(cells) == len(header):
                noted = dict(zip(header, cells, strict=True))
                folder = path.rpartition("/")[0]
                times[f"{folder}/{noted['filename']}"] = noted["acq_time"]
    return times


def _derive(
    root: Path, files: list[File], rows: list[dict], event_columns: Iterable[str], assign: str
) -> list[dict]:
    """Sort the rows and fill the columns that depend on several images."""
    rows = sorted(rows, key=lambda r: natural(r["path"]))
    _number_echoes(rows)
    described = [f.path for f in files if f.path.endswith("_events.tsv")]
    sidecars = [f.path for f in files if f.path.endswith("events.json")]
    events.attach(rows, root, described, keep=event_columns, sidecars=sidecars)
    images = {f.path for f in files if wanted(f.path)}
    pairing.pair(rows, images, assign=assign, sources=_other_sources(root, files, rows))
    return rows


def _other_sources(root: Path, files: list[File], rows: list[dict]) -> set[tuple[str, str]]:
    """Return subject and B0FieldSource of functional images that the labels left out."""
    if not any(r["b0_identifier"] for r in rows):
        return set()
    here, subjects = {r["path"] for r in rows}, {r["subject"] for r in rows}
    sidecars = Inheritance([f.path for f in files if f.path.endswith(".json")])
    read = functools.cache(lambda path: read_sidecar(root / path))
    found = set()
    for file in files:
        left_out = wanted(file.path) and "/func/" in file.path and file.path not in here
        if left_out and (subject := bids.parse(file.path).get("subject")) in subjects:
            metadata = {}
            for path in sidecars.applicable(file.path):
                metadata |= read(path)
            names = metadata.get("B0FieldSource") or ()
            found |= {(subject, name) for name in ([names] if isinstance(names, str) else names)}
    return found


def _number_echoes(rows: list[dict]) -> None:
    """Count the echoes of each run from 1 by ascending echo time (by label without times).

    Noise scans take the numbers of the series by their labels, because they may lack echo times,
    and SBRefs by echo time; one that is of no echo of the series gets none.
    """
    runs, sbrefs = defaultdict(list), defaultdict(list)
    for r in rows:
        if r["datatype"] == "func":
            (sbrefs if r["suffix"] == "sbref" else runs)[r["folder"], r["stem"]].append(r)
    for images in runs.values():
        times = {}
        for r in sorted(images, key=lambda r: r["echo_time"] is None):
            times.setdefault(r["echo"], r["echo_time"])
        if all(time is not None for time in times.values()):
            order = sorted(times, key=lambda echo: (times[echo], natural(echo or "")))
        else:
            order = sorted(times, key=lambda echo: natural(echo or ""))
        for r in images:
            r["echo_index"] = order.index(r["echo"]) + 1
    for key, images in sbrefs.items():
        series = [r for r in runs.get(key, []) if r["suffix"] == "bold"]
        for r in images:
            r["echo_index"] = _echo_of(r, series)


def _echo_of(sbref: dict, series: list[dict]) -> int | None:
    """Return the echo of a series that an SBRef belongs to: by echo time, else by label."""
    time = sbref["echo_time"]
    timed = [r for r in series if r["echo_time"] is not None]
    if time is not None and timed:
        alike = [r for r in timed if abs(r["echo_time"] - time) <= _SAME_ECHO_S]
        nearest = min(alike, key=lambda r: abs(r["echo_time"] - time), default=None)
    else:
        nearest = next((r for r in series if r["echo"] == sbref["echo"]), None)
    return nearest["echo_index"] if nearest else None
