"""Arrays that one job leaves for another: written whole or not at all."""

from pathlib import Path

import numpy as np

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
