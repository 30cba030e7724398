"""Images of series that are too long for memory, read and written some volumes at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mebold.errors import DataError
from mebold.files import images, series
from mebold.files.atomic import atomic
from mebold.files.tables import sidecar, write_json

_VOLUMES_AT_ONCE = 64
_VOLUMES_READ = 16


def read(path: str | Path) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield a series some volumes at a time; a compressed file is read once, from its beginning.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    volumes : slice
        Place of the block in the series.
    block : (x, y, z, k) float32 array
        With the scale factors of the header applied.

    Raises
    ------
    DataError
        When the file is absent, empty, truncated or not an image.
    """
    header = images.load_header(path)
    if len(header.shape) != 4:
        by = " x ".join(map(str, header.shape))
        raise DataError(f"{path} has the shape {by}: a series of volumes is needed.")
    count = header.shape[3]
    try:
        with images.whole(path, header) as image:
            for first in range(0, count, _VOLUMES_READ):
                place = slice(first, min(first + _VOLUMES_READ, count))
                yield place, np.asarray(image.dataobj[..., place], dtype=np.float32)
    except images.UNREADABLE as error:
        message = f"{path} is damaged or truncated: {error}"
        raise DataError(message) from error


def save(
    path: str | Path,
    values: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    tr: float | None = None,
    metadata: dict | None = None,
) -> None:
    """Write a masked series as a float32 image, 0 outside the mask and where not finite.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    values : (V, T) array
        May be a memory map.
    mask : (x, y, z) bool array
        With V true voxels, in C order.
    affine, tr, metadata
        As in `mebold.files.images.save`.

    Raises
    ------
    GridMismatchError
        When the number of voxels differs.
    """
    shape = (*mask.shape, values.shape[1])
    save_volumes(path, volumes(values, mask), affine, shape=shape, tr=tr, metadata=metadata)


def save_volumes(
    path: str | Path,
    volumes: Iterable[np.ndarray],
    affine: np.ndarray,
    *,
    shape: tuple[int, int, int, int],
    tr: float | None = None,
    metadata: dict | None = None,
) -> None:
    """Write a float32 image with one volume in memory at a time.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    volumes : iterable of (x, y, z) arrays
    shape : tuple of int
        (x, y, z, t) of the image.
    affine, tr, metadata
        As in `mebold.files.images.save`.

    Raises
    ------
    DataError
        When the volumes are not t arrays of (x, y, z).
    """
    with atomic(path) as partial:
        with images.open_to_write(partial) as stream:
            images.new_header(path, shape, affine, np.float32, tr).write_to(stream)
            _write_volumes(path, volumes, shape, stream)
        if metadata is not None:  # first: an image that is there has its sidecar
            write_json(sidecar(path), metadata)


def _write_volumes(
    path: str | Path, volumes: Iterable[np.ndarray], shape: tuple[int, ...], stream: BinaryIO
) -> None:
    count = 0
    for count, volume in enumerate(volumes, start=1):
        if volume.shape != tuple(shape[:3]):
            message = f"{path}: volume {count} has shape {volume.shape}, needed is {shape[:3]}."
            raise DataError(message)
        stream.write(np.asarray(volume, np.float32).tobytes(order="F"))
    if count != shape[3]:
        message = f"{path}: {count} volumes were given for an image of {shape[3]}."
        raise DataError(message)


def volumes(values: np.ndarray, mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the (x, y, z) float32 volumes of a (V, T) series, 0 outside and where not finite.

    One array is filled again and again: a consumer that keeps volumes must copy them.

    Raises
    ------
    GridMismatchError
        When the number of voxels differs.
    """
    volume = series.unmask(np.zeros(len(values), np.float32), mask)
    for first in range(0, values.shape[1], _VOLUMES_AT_ONCE):
        # By blocks: a single column touches every page of the series.
        for column in np.ascontiguousarray(values[:, first : first + _VOLUMES_AT_ONCE].T):
            volume[mask] = np.nan_to_num(column, posinf=0, neginf=0)
            yield volume
