"""Arrays that one job leaves for another: written whole or not at all, checked when read."""

import math
import zipfile
from pathlib import Path

import numpy as np

from mebold.errors import DataError
from mebold.files.atomic import atomic, reserve


def save(path: str | Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``."""
    with atomic(path) as partial:
        # Ahead of numpy, which forgets why it could not write.
        reserve(partial, array.nbytes, path=path)
        with partial.open("r+b") as file:
            np.save(file, array, allow_pickle=False)


def save_named(path: str | Path, **arrays: np.ndarray) -> None:
    """Write arrays by name as ``.npz``."""
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def load(path: str | Path) -> np.ndarray:
    """Read what `save` wrote.

    Raises
    ------
    DataError
        When the file is not whole, holds objects, or no array.
    """
    try:
        # The map checks that the file is as long as it claims before memory is asked for.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise _damaged(path, error) from error


def load_named(path: str | Path) -> dict[str, np.ndarray]:
    """Read what `save_named` wrote, down to its checksums.

    Raises
    ------
    DataError
        As `load`.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return {
                entry.filename.removesuffix(".npy"): _entry(file, entry)
                for entry in file.infolist()
            }
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path, error) from error


def _entry(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with file.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}
        shape, _, dtype = read.get(version, np.lib.format.read_array_header_2_0)(stream)
        claimed = math.prod(shape) * dtype.itemsize
        # Stored, not compressed: what is there is what the file is long.
        if entry.compress_type != zipfile.ZIP_STORED or stream.tell() + claimed != entry.file_size:
            message = f"{entry.filename} claims {claimed} bytes and has {entry.file_size}"
            raise ValueError(message)
    with file.open(entry) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read()  # to the end, where the checksum is looked at
    return array


def _damaged(path: str | Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged ({error}): remove it and run again.")
