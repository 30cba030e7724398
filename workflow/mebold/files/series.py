"""Masked series store: voxels of a mask x time as a plain, memory-mapped float32 file.

Inside the workflow a series in output space never becomes a 4D grid: a brain mask fills an eighth
of it. Voxels are those of the mask in C order.
"""

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.files import images
from mebold.files.atomic import atomic, reserve


@contextlib.contextmanager
def writing(path: str | Path, shape: tuple[int, ...]) -> Iterator[np.memmap]:
    """Give a new float32 store to be filled; it appears under its name when the block ends well.

    Until then it has another name beside: a job that is killed leaves no store that a later one
    could take for complete, with zeros where it had not come.

    Parameters
    ----------
    path : path-like
        Ends in ``.npy``.
    shape : tuple of int
        (voxel, time) or (echo, voxel, time).

    Raises
    ------
    OSError
        When the disk has no room for all of it. The room is taken at once: a mapped file that
        runs out of it later ends the process without a word.
    """
    with atomic(path) as partial:
        store = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        reserve(partial, partial.stat().st_size, path=path)
        yield store
        store.flush()


def open(path: str | Path) -> np.ndarray:  # noqa: A001
    """Open a store for reading, without loading it.

    Raises
    ------
    DataError
        When the file is shorter than its header says, or no store.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{path} is no complete series ({error}): remove it and run again"
        ) from error


def let_go(*stores: np.ndarray) -> None:
    """Give back the memory that the pages of stores take; they are read again when needed.

    What is mapped counts as used by a job where a cluster looks at its resident set. Arrays that
    are not mapped, and those that are written, are left alone.
    """
    for store in stores:
        if isinstance(store, np.memmap) and not store.flags.writeable:
            store._mmap.madvise(mmap.MADV_DONTNEED)


def unmask(values: np.ndarray, mask: np.ndarray, *, fill: float = 0) -> np.ndarray:
    """Put voxel values back on the grid of their mask.

    Parameters
    ----------
    values : (V,) or (V, T) array
    mask : (x, y, z) bool array
        With V true voxels.
    fill : float
        Value outside the mask.

    Returns
    -------
    (x, y, z) or (x, y, z, T) array
        Of the dtype of `values`.

    Raises
    ------
    GridMismatchError
        When the number of voxels differs.
    """
    count = int(np.count_nonzero(mask))
    if count != len(values):
        message = f"{len(values)} voxel values do not fit a mask of {count} voxels."
        raise GridMismatchError(message)
    volume = np.full(mask.shape + values.shape[1:], fill, dtype=values.dtype)
    volume[mask] = values
    return volume


def save_map(
    path: str | Path,
    values: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    dtype: type = np.float32,
    metadata: dict | None = None,
) -> None:
    """Write (V,) values as an image, see `images.save`; 0 outside the mask and where not finite."""
    volume = unmask(np.nan_to_num(values), mask)
    images.save(path, volume, affine, dtype=dtype, metadata=metadata)


def open_variant(path: str | Path, *, echo: int) -> np.ndarray:
    """Open the (V, T) series of a variant: a store of all echoes gives its echo at `echo`."""
    store = open(path)
    return store[echo] if store.ndim == 3 else store
