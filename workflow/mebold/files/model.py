"""The HDF5 file of a single-trial fit: every result in the voxels of the mask, and what they are.

Open it with `open_model`, or with any HDF5 reader. One row is one voxel of ``mask`` (C order), so
that `mebold.files.series.unmask` puts rows back on the grid; column i of ``betas`` is row i of
``trials`` (`trials_of`). Every dataset says its ``units``, ``axes`` and ``description`` in its
attributes. The group ``glmsingle`` holds the same datasets by the names of GLMsingle, as links.
`join` makes one file of several sessions without a copy of their data.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from mebold.errors import DataError
from mebold.files import tables
from mebold.files.atomic import atomic, reserve

#: Larger arrays are compressed; small ones gain nothing from it.
_COMPRESSED = 100_000
# Bytes of a chunk of whole rows, and how it is packed; figures in benchmarks/RESULTS.md. Larger
# chunks are no smaller and slow single voxels down; lzf is faster, but only h5py reads it.
_CHUNK_BYTES = 250_000
_GZIP_LEVEL = 1
_EACH = 16_384  # bytes that a dataset takes at most beside its values: name, attributes, index
# Deflate makes data 1032 times smaller at best; what is never written is filled when it is read.
_BEST_RATIO, _FILL_BYTES = 1100, 2**20
#: What a file over several sessions has of each.
_JOINED = ("betas", "r2", "mean_volume", "onoff_r2", "hrf_index", "frac_value")
_OF_JOINED = {
    "sessions": {"axes": "session", "units": "n/a", "description": "Files that hold the data"},
    "about": {"axes": "", "units": "n/a", "description": "Sources and versions: JSON text"},
}


def write(
    path: str | Path,
    results: Mapping[str, object],
    *,
    mask: np.ndarray,
    affine: np.ndarray | None = None,
    attributes: Mapping[str, Mapping[str, str]] | None = None,
    links: Mapping[str, str] | None = None,
    about: Mapping | None = None,
) -> None:
    """Write the results of a fit.

    Parameters
    ----------
    path : path-like
    results : mapping
        Arrays, lists of arrays (one per run), numbers, strings, lists of strings, and mappings of
        these, which become groups; None becomes an empty dataset. An array that comes twice is
        stored once.
    mask : (x, y, z) bool array
        Voxels of the results, in C order.
    affine : (4, 4) array, optional
        Of the mask: voxel to world, RAS+ mm.
    attributes : mapping, optional
        Name of a dataset (``betas``, ``trials/onset``) to its attributes. Those of a list of arrays
        count for each of them.
    links : mapping, optional
        Further name to the name of a dataset or group; names without a result are left out.
    about : mapping, optional
        What a sidecar would say; stored as JSON text in the dataset ``about``.
    """
    everything = {"mask": mask.astype(np.uint8)}
    if affine is not None:
        everything["affine"] = np.asarray(affine, np.float64)
    everything |= results
    if about is not None:
        everything["about"] = tables.json_text(dict(about))
    with _new(path, _bytes(everything)) as file:
        stored: dict[int, str] = {}
        for key, value in everything.items():
            _put(file, key, value, stored)
        for key, pairs in (attributes or {}).items():
            _describe(file.get(key), pairs)
        for key, target in (links or {}).items():
            if results.get(target) is not None:
                file[key] = h5py.SoftLink(f"/{target}")


@contextlib.contextmanager
def _new(path: str | Path, size: int) -> Iterator[h5py.File]:
    """Open a new file to be filled, its disk space taken before: `mebold.files.atomic.reserve`."""
    with atomic(path) as partial:
        h5py.File(partial, "w").close()
        reserve(partial, size, path=path)
        with h5py.File(partial, "r+") as file:  # cuts what is left over when it closes
            yield file


def _bytes(value: object) -> int:
    """Return how much disk space a result takes at most."""
    if isinstance(value, Mapping):
        return _EACH + sum(map(_bytes, value.values()))
    if isinstance(value, list | tuple):
        held = str | Mapping | np.ndarray
        return _EACH + sum(_bytes(item) if isinstance(item, held) else 64 for item in value)
    if isinstance(value, str):
        return 4 * len(value) + 64
    size = np.asarray(value).nbytes if value is not None else 0
    return _EACH + size + size // 100


def _put(group: h5py.Group, key: str, value: object, stored: dict[int, str]) -> None:
    if value is None:
        group[key] = h5py.Empty("f")
    elif isinstance(value, Mapping):
        child = group.create_group(key)
        child.attrs["columns"] = [str(name) for name in value]  # HDF5 sorts names
        for name, item in value.items():
            _put(child, str(name), item, stored)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray):
        child = group.create_group(key)
        for index, item in enumerate(value):
            _put(child, f"{index:03d}", item, stored)
    elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        group.create_dataset(key, data=list(value), dtype=h5py.string_dtype())
    elif id(value) in stored:
        group[key] = group[stored[id(value)]]
    elif isinstance(value, np.ndarray) and value.size > _COMPRESSED and value.ndim > 1:
        rows = max(1, _CHUNK_BYTES // max(1, value[0].nbytes))
        chunks = (min(rows, len(value)), *value.shape[1:])
        packed = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "shuffle": True}
        made = group.create_dataset(key, data=value, chunks=chunks, **packed)
        stored[id(value)] = made.name
    else:
        group[key] = value


def _describe(item: h5py.Group | h5py.Dataset | None, pairs: Mapping[str, str]) -> None:
    if isinstance(item, h5py.Group):
        for child in item.values():
            _describe(child, pairs)
    elif item is not None:
        item.attrs.update(pairs)


@contextlib.contextmanager
def open_models(paths: Iterable[str | Path]) -> Iterator[list[h5py.File]]:
    """Open several model files for reading, as `open_model` does."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_model(path)) for path in paths]


@contextlib.contextmanager
def open_model(path: str | Path) -> Iterator[h5py.File]:
    """Open a model file for reading; datasets are read when they are sliced.

    Raises
    ------
    DataError
        When it is no HDF5 file, is truncated, or claims arrays that it does not hold or that do
        not fit each other.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} cannot be read as a model file: {error}") from error
    with file:
        _check_shapes(path, file)
        yield file


def _check_shapes(path: str | Path, file: h5py.File) -> None:
    """Refuse odd shapes before memory is asked for them."""

    def check_size(name: str, item: object) -> None:
        # Links to other files (sessions that were joined) store nothing here.
        if isinstance(item, h5py.Dataset) and item.shape and not item.is_virtual:
            held = item.id.get_storage_size()
            if item.nbytes > max(_BEST_RATIO * held, _FILL_BYTES):
                raise DataError(
                    f"{path}: {name} claims {item.nbytes / 1e9:.1f} GB and has {held} bytes in the "
                    "file. It is damaged, or was not written to its end: make it again."
                )

    file.visititems(check_size)
    mask, betas = file.get("mask"), file.get("betas")
    if mask is not None and (not isinstance(mask, h5py.Dataset) or mask.ndim != 3):
        raise DataError(f"{path}: mask has the shape {_shape(mask)}; (x, y, z) is needed.")
    if mask is None or betas is None:
        return
    rows, trials = int(np.count_nonzero(mask[()])), file.get("trials")
    columns = {len(column) for column in trials.values()} if trials is not None else set()
    shape = _shape(betas)
    if len(shape) != 2 or shape[0] != rows or (columns and columns != {shape[1]}):
        count = f"{sorted(columns)} trials" if columns else "its trials"
        raise DataError(f"{path}: betas have the shape {shape} for {rows} voxels and {count}.")


def _shape(item: object) -> tuple:
    return tuple(item.shape or ()) if isinstance(item, h5py.Dataset) else ()


def trials_of(model: h5py.File) -> "pandas.DataFrame":  # noqa: F821
    """Return the trial table of an open model file: row i is column i of its betas."""
    import pandas as pd

    columns = {}
    for name in model["trials"].attrs["columns"]:
        column = model["trials"][name]
        text = h5py.check_string_dtype(column.dtype) is not None
        columns[name] = column.asstr()[:] if text else column[:]
    return pd.DataFrame(columns)


def about(model: h5py.File) -> dict:
    """Return what an open model file says of its fit: options, runs, contents, versions."""
    return json.loads(model["about"].asstr()[()])


def columns_of(table: "pandas.DataFrame") -> dict[str, np.ndarray | list[str]]:  # noqa: F821
    """Return a table as columns that a model file can hold: numbers, or text with ``n/a``."""
    columns = {}
    for name, column in table.items():
        numeric = column.dtype.kind in "iuf"
        filled = column if numeric else column.astype(object).where(column.notna(), "n/a")
        columns[name] = column.to_numpy() if numeric else [str(cell) for cell in filled]
    return columns


def join(
    path: str | Path,
    models: Sequence[str | Path],
    *,
    trials: "pandas.DataFrame",  # noqa: F821
    about: Mapping,
) -> None:
    """Write one file over several sessions whose arrays stay where they are.

    Betas come as (voxel, trial of all sessions), maps as (voxel, session). They are virtual
    datasets of HDF5 (1.10 or later), with paths relative to the new file: a folder that holds both
    may be moved. Values of a file that is gone read as not a number (whole numbers as 0).

    Parameters
    ----------
    path : path-like
        The new file.
    models : sequence of path-like
        Model files of the sessions, on one mask.
    trials : DataFrame
        Of all sessions, row i for column i of the betas; ``session`` is one of its columns.
    about : mapping
        As in `write`.

    Raises
    ------
    DataError
        When the files differ in their mask or affine, or hold another number of trials.
    """
    with open_models(models) as opened:
        _check_alike(models, opened, len(trials))
        first = opened[0]
        content = {name: first[name][()] for name in ("mask", "affine") if name in first}
        shapes = {name: [file[name].shape for file in opened] for name in _JOINED}
        kinds = {name: first[name].dtype for name in _JOINED}
        described = {name: dict(first[name].attrs) for name in (*content, *_JOINED)}
        tables_ = {name: dict(item.attrs) for name, item in first["trials"].items()}
    sources = [os.path.relpath(model, Path(path).parent) for model in models]
    texts = {"trials": columns_of(trials), "sessions": [str(source) for source in sources]}
    texts["about"] = tables.json_text(dict(about))
    with _new(path, _bytes(content | texts)) as file:
        for name, value in (content | texts).items():
            _put(file, name, value, {})
        for name in _JOINED:
            layout = _layout(name, sources, shapes[name], kinds[name])
            empty = np.nan if kinds[name].kind == "f" else 0
            file.create_virtual_dataset(name, layout, fillvalue=empty)
            described[name]["axes"] = "voxel, trial" if name == "betas" else "voxel, session"
        described |= {f"trials/{name}": pairs for name, pairs in tables_.items()} | _OF_JOINED
        for name, pairs in described.items():
            _describe(file.get(name), pairs)


def _check_alike(paths: Sequence[str | Path], opened: list[h5py.File], n_trials: int) -> None:
    for name in ("mask", "affine"):
        values = [file[name][()] if name in file else None for file in opened]
        for path, value in zip(paths, values, strict=True):
            if not np.array_equal(value, values[0]):
                message = f"{path} has another {name} than {paths[0]}: sessions need one grid."
                raise DataError(message)
    counts = [file["betas"].shape[1] for file in opened]
    if sum(counts) != n_trials:
        message = f"The trial table has {n_trials} rows for {counts} betas in {len(paths)} files."
        raise DataError(message)


def _layout(
    name: str, sources: list[str], shapes: list[tuple[int, ...]], dtype: np.dtype
) -> h5py.VirtualLayout:
    """Put the arrays of all sessions side by side."""
    widths = [shape[1] if len(shape) > 1 else 1 for shape in shapes]
    layout = h5py.VirtualLayout((shapes[0][0], sum(widths)), dtype)
    start = 0
    for source, shape, width in zip(sources, shapes, widths, strict=True):
        place = slice(start, start + width) if len(shape) > 1 else start
        layout[:, place] = h5py.VirtualSource(source, name, shape)
        start += width
    return layout
