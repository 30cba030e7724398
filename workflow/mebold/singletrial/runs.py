"""Preprocessed runs of any program, as a single-trial fit takes them: one image per run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError, GridMismatchError, MetadataError
from mebold.files import bids, images, series, stream, tables
from mebold.geometry import affines, masks
from mebold.singletrial import regressors
from mebold.singletrial.session import shares_of

logger = logging.getLogger(__name__)

_TO_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_TIMES_DIFFER = 1e-3  # share; headers are rounded
_OF_SERIES = ("space", "resolution", "density", "description")
_MUST_AGREE = ("subject", "session", "task", "acquisition", "run")


@dataclass(frozen=True)
class Runs:
    """What `mebold.singletrial.session.prepare` takes, and the grid that it is on.

    Attributes
    ----------
    data : list of (V, T_r) float32 array
        Memory maps.
    mask, affine : (x, y, z) bool array, (4, 4) array
        Voxels of the data in C order; voxel to world, RAS+ mm.
    mask_origin : str
        Where the mask comes from.
    runs : list of dict
        ``stem``, ``session``, ``run``, ``tr_out`` and ``start_s`` (s).
    events, cells : list of DataFrame
        As `mebold.files.tables.read_tsv` and `read_cells` return them.
    described : dict
        Content of the JSON files beside the events.
    confounds : list of (T_r, q_r) array or None
    non_steady : list of int
        Samples before the steady state.
    coverage : list of float
        Share of the voxels with data in any run that every run has data of.
    files : list of Path
        All that was read.
    """

    data: list[np.ndarray]
    mask: np.ndarray
    affine: np.ndarray
    mask_origin: str
    runs: list[dict]
    events: list[pd.DataFrame]
    cells: list[pd.DataFrame]
    described: dict
    confounds: list[np.ndarray] | None
    non_steady: list[int]
    coverage: list[float]
    files: list[Path]


def read(
    bold: Sequence[str | Path],
    events: Sequence[str | Path],
    *,
    folder: str | Path,
    mask: str | Path | None = None,
    tr: float | None = None,
    confound_tables: Sequence[str | Path] = (),
    confounds: Sequence[str] = (),
    non_steady: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Runs:
    """Read runs of one session.

    Parameters
    ----------
    bold, events : sequence of path-like
        Series of every run (x, y, z, t), on one grid, and its events.
    folder : path-like
        Where the series of the mask's voxels are kept as plain files while they are used.
    mask : path-like, optional
        On the grid of the series. Otherwise the voxels in the ``desc-brain_mask`` of all runs,
        where fMRIPrep or this workflow wrote one beside each; otherwise made from the first run.
    tr : float, optional
        Repetition time, s; see `repetition_time`.
    confound_tables : sequence of path-like
        One per run; those beside the series (``desc-confounds_timeseries.tsv``) by default.
    confounds : sequence of str
        See `mebold.singletrial.regressors.of_runs`.
    non_steady : int, optional
        Samples before the steady state in every run; by default those that the confound tables
        name (``non_steady_state_outlierNN``), and none without tables.
    progress : callable, optional
        Called as ``progress("reading", fraction)``.

    Returns
    -------
    Runs

    Raises
    ------
    ConfigError
        When files do not belong together.
    MetadataError
        When the repetition time is not known.
    DataError, GridMismatchError
        When images cannot be used, or differ in their grid or repetition time.
    """
    bold, events = [Path(path) for path in bold], [Path(path) for path in events]
    named = [names_of(path) for path in bold]
    _require_pairs(bold, events, named)
    headers = [images.load_header(path) for path in bold]
    for path, header in zip(bold, headers, strict=True):
        if len(header.shape) != 4 or header.shape[3] < 2:
            raise DataError(f"{path} has the shape {header.shape}: a series (x, y, z, t) is needed")
        _require_grid(path, header.shape, header.affine, bold[0], headers[0])
    times = [repetition_time(path, given=tr) for path in bold]
    if max(times) - min(times) > _TIMES_DIFFER * min(times):
        listed = ", ".join(f"{p.name}: {t:g} s" for p, t in zip(bold, times, strict=True))
        raise DataError(f"Runs differ in their repetition time ({listed}); a fit needs one.")
    tables_ = _tables(bold, named, confound_tables, needed=bool(confounds))
    inside, origin, masked_by = _mask(bold, named, headers, mask)
    extra = regressors.of_runs(tables_, confounds, runs=[n["stem"] for n in named])
    data, seen = [], []
    for number, (path, header) in enumerate(zip(bold, headers, strict=True)):
        if tables_:
            _require_rows(path, header.shape[3], tables_[number])
        kept = Path(folder) / f"run-{number:03d}.npy"
        with series.writing(kept, (int(inside.sum()), header.shape[3])) as store:
            for place, block in stream.read(path):
                store[:, place] = block[inside]
        seen.append(np.isfinite(store).all(axis=1) & (store.std(axis=1) > 0))
        data.append(series.open(kept))
        if progress is not None:
            progress("reading", (number + 1) / len(bold))
    early = [_non_steady(table) for table in tables_] or [0] * len(bold)
    return Runs(
        data=data,
        mask=inside,
        affine=np.asarray(headers[0].affine, np.float64),
        mask_origin=origin,
        runs=[
            {key: names.get(key) for key in ("stem", "session", "run")}
            | {"tr_out": times[0], "start_s": start_time(path)}
            for names, path in zip(named, bold, strict=True)
        ],
        events=[tables.read_tsv(path) for path in events],
        cells=[tables.read_cells(path) for path in events],
        described=_described(events),
        confounds=extra,
        non_steady=early if non_steady is None else [non_steady] * len(bold),
        coverage=shares_of(seen),
        files=[*bold, *events, *masked_by, *(Path(path) for path in confound_tables)],
    )


def repetition_time(path: str | Path, *, given: float | None = None) -> float:
    """Return the repetition time of a series in seconds.

    Parameters
    ----------
    path : path-like
    given : float, optional
        Counts more than the file's own.

    Returns
    -------
    float
        Of the sidecar (``RepetitionTime``), else of the header where it names the unit.

    Raises
    ------
    MetadataError
        When neither says it, both differ, or volumes come at irregular times.
    """
    beside = tables.sidecar(path)
    sidecar = _sidecar(path)
    if given is not None:
        said = sidecar.get("RepetitionTime", given)
        if abs(said - given) > _TIMES_DIFFER * given:
            logger.warning("%s says %g s; the repetition time given is %g s", beside, said, given)
        return float(given)
    if "VolumeTiming" in sidecar and "RepetitionTime" not in sidecar:
        raise MetadataError(
            f"{beside} gives VolumeTiming: volumes at irregular times cannot be fitted; resample "
            "the series to a constant interval"
        )
    said = sidecar.get("RepetitionTime")
    header = images.load_header(path).header
    zooms, unit = header.get_zooms(), header.get_xyzt_units()[1]
    own = float(zooms[3]) * _TO_SECONDS.get(unit, np.nan) if len(zooms) > 3 else np.nan
    own = own if own > 0 else None
    if said is not None and own is not None and abs(said - own) > _TIMES_DIFFER * own:
        raise MetadataError(
            f"{path}: the header says a repetition time of {own:g} s and {beside.name} {said:g} s; "
            "correct one of them, or give --tr (s)"
        )
    if said is None and own is None:
        raise MetadataError(
            f"{path}: the repetition time is not known. There is no RepetitionTime in "
            f"{beside.name}, and the header names no unit of time (it holds "
            f"{zooms[3] if len(zooms) > 3 else 'nothing'}); give --tr (s)"
        )
    return float(said if said is not None else own)


def start_time(path: str | Path) -> float:
    """Return the time of the first sample, s: ``StartTime`` of the sidecar, else 0.

    Series with slice timing corrected to the middle of a volume, as fMRIPrep's, start half a
    repetition time after the events' zero.
    """
    return float(_sidecar(path).get("StartTime") or 0.0)


def _sidecar(path: str | Path) -> dict:
    beside = tables.sidecar(path)
    return tables.read_json(beside) if beside.is_file() else {}


def names_of(path: Path) -> dict[str, str]:
    """Return the entities of a file's name and the ``stem`` of its run; only that for odd names."""
    plain = {"stem": path.name.removesuffix(".gz").removesuffix(".nii")}
    try:
        entities = bids.parse(path.name)
    except MetadataError:
        return plain
    if "subject" not in entities:
        return plain
    of_run = {key: label for key, label in entities.items() if key not in _OF_SERIES}
    return entities | {"stem": bids.stem(of_run)}


def _require_pairs(bold: Sequence[Path], events: Sequence[Path], named: Sequence[dict]) -> None:
    """Refuse files that are no runs of one session with their events."""
    if len(bold) != len(events):
        raise ConfigError(
            f"{len(bold)} BOLD runs and {len(events)} events files: one events file is needed for "
            "each run, in the same order"
        )
    for image, table in zip(bold, events, strict=True):
        if not table.is_file():
            raise DataError(f"{table} does not exist (events of {image.name})")
        own, theirs = names_of(image), names_of(table)
        for key in _MUST_AGREE:
            if key in own and key in theirs and own[key] != theirs[key]:
                raise ConfigError(
                    f"{table.name} is of {key} {theirs[key]}, but stands in the place of the "
                    f"events of {image.name}: give both in the same order"
                )
    stems = [names["stem"] for names in named]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ConfigError(f"Two series are of the run {twice}: give each run once")
    for key in ("subject", "session"):
        found = {names.get(key) for names in named}
        if len(found) > 1:
            raise ConfigError(
                f"The series are of {len(found)} {key}s ({', '.join(sorted(map(str, found)))}): "
                "one call fits the runs of one session"
            )


def _require_grid(path: Path, shape: tuple, affine: np.ndarray, other: Path, reference) -> None:
    if not affines.same_grid(shape, affine, reference.shape, reference.affine):
        raise GridMismatchError(
            f"{path} ({' x '.join(map(str, shape[:3]))}) lies on another grid than {other} "
            f"({' x '.join(map(str, reference.shape[:3]))}): all need one matrix and one position; "
            "choose outputs of one space, or resample"
        )


def _require_rows(path: Path, n_volumes: int, table: pd.DataFrame) -> None:
    if len(table) != n_volumes:
        raise DataError(
            f"The confounds of {path.name} have {len(table)} rows for {n_volumes} volumes"
        )


def _tables(
    bold: Sequence[Path], named: Sequence[dict], given: Sequence[str | Path], *, needed: bool
) -> list[pd.DataFrame]:
    """Return the confound tables of all runs; none where they are not there nor needed."""
    if given and len(given) != len(bold):
        raise ConfigError(f"{len(given)} confound tables for {len(bold)} runs: one each is needed")
    beside = [
        path.with_name(f"{names['stem']}_desc-confounds_timeseries.tsv")
        for path, names in zip(bold, named, strict=True)
    ]
    paths = [Path(path) for path in given] or beside
    missing = [path for path in paths if not path.is_file()]
    if missing and (needed or given):
        raise ConfigError(f"The confound table {missing[0]} does not exist: give --confound-tables")
    return [] if missing else [tables.read_tsv(path) for path in paths]


def _non_steady(table: pd.DataFrame) -> int:
    """Return the number of leading samples that a confound table marks as not steady."""
    marked = [c for c in table.columns if c.startswith("non_steady_state_outlier")]
    rows = np.flatnonzero(table[marked].to_numpy(np.float64).any(axis=1)) if marked else []
    return int(rows[-1]) + 1 if len(rows) else 0


def _mask(
    bold: Sequence[Path], named: Sequence[dict], headers: Sequence, given: str | Path | None
) -> tuple[np.ndarray, str, list[Path]]:
    """Return the mask, where it comes from, and the files that it was read from."""
    of_brain = {"description": "brain", "suffix": "mask"}
    paths = [Path(given)] if given else []
    if not given and all("suffix" in names for names in named):
        known = [{k: v for k, v in names.items() if k != "stem"} | of_brain for names in named]
        names_ = [f"{bids.stem(one)}_mask{one['extension']}" for one in known]
        paths = [path.with_name(name) for path, name in zip(bold, names_, strict=True)]
        paths = paths if all(path.is_file() for path in paths) else []
    if not paths:
        total = sum(np.nan_to_num(block).sum(axis=-1) for _, block in stream.read(bold[0]))
        return masks.foreground_mask(np.maximum(total, 0)), f"made from {bold[0].name}", []
    inside = np.ones(headers[0].shape[:3], bool)
    for path in paths:
        one, affine = images.load_mask(path)
        _require_grid(path, one.shape, affine, bold[0], headers[0])
        inside &= one
    if not inside.any():
        raise DataError(f"No voxel lies in the mask ({', '.join(path.name for path in paths)})")
    return inside, ", ".join(path.name for path in paths), paths


def _described(events: Sequence[Path]) -> dict:
    """Return the content of the JSON files beside the events."""
    content: dict = {}
    for path in events:
        content |= _sidecar(path)
    return content
