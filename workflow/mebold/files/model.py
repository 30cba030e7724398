"""The HDF5 file of a single-trial fit: every result in the voxels of the mask, read in chunks."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from mebold.files.atomic import atomic

_COMPRESSED = 1_000_000  # small arrays gain nothing from compression


def write(path: str | Path, results: Mapping[str, object], *, mask: np.ndarray) -> None:
    """Write the results of a fit.

    Parameters
    ----------
    path : path-like
    results : mapping
        Arrays, lists of arrays (one per run), numbers, strings; None becomes an empty dataset.
    mask : (x, y, z) bool array
        Voxels of the results, in C order.
    """
    with atomic(path) as partial, h5py.File(partial, "w") as file:
        file["mask"] = mask.astype(np.uint8)
        for key, value in results.items():
            _put(file, key, value)


def _put(group: h5py.Group, key: str, value: object) -> None:
    if value is None:
        group[key] = h5py.Empty("f")
    elif isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray):
        child = group.create_group(key)
        for index, item in enumerate(value):
            _put(child, f"{index:03d}", item)
    elif isinstance(value, np.ndarray) and value.size > _COMPRESSED and value.ndim > 1:
        rows = max(1, _COMPRESSED // max(1, value[0].size))
        chunks = (min(rows, len(value)), *value.shape[1:])
        group.create_dataset(key, data=value, chunks=chunks)
    else:
        group[key] = value


@contextlib.contextmanager
def open_models(paths: Iterable[str | Path]) -> Iterator[list[h5py.File]]:
    """Open several model files for reading, as `open_model` does."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_model(path)) for path in paths]


@contextlib.contextmanager
def open_model(path: str | Path) -> Iterator[h5py.File]:
    """Open a model file for reading; datasets are read when they are sliced."""
    with h5py.File(path, "r") as file:
        yield file
