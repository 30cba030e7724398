"""Masked series store: voxels of a mask x time as a plain, memory-mapped float32 file.

Inside the workflow a series in output space never becomes a 4D grid: a brain mask fills an eighth
of it. Voxels are those of the mask in C order.
"""

from pathlib import Path

import numpy as np

from mebold.errors import GridMismatchError
from mebold.files import images


def create(path: str | Path, shape: tuple[int, ...]) -> np.memmap:
    """Make a new float32 store of `shape` ((voxel, time) or (echo, voxel, time)) to be filled."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def open(path: str | Path) -> np.ndarray:  # noqa: A001
    """Open a store for reading, without loading it."""
    return np.load(path, mmap_mode="r")


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
