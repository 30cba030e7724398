"""Two output folders, file by file: the same names, and the same content where it can be equal."""

import gzip
from pathlib import Path

import h5py
import numpy as np

#: What says when or where it was made.
_OF_THE_CALL = (
    *("work/logs", "work/benchmarks", "work/tables", "work/.jobs", "work/.lock.json"),
    *("work/config.json", "report/"),
)


def listed(out: Path) -> dict[str, Path]:
    """Return the files of an output folder by their path in it, without logs."""
    files = (path for path in out.rglob("*") if path.is_file())
    named = {path.relative_to(out).as_posix(): path for path in files}
    return {name: path for name, path in named.items() if not name.startswith(_OF_THE_CALL)}


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of files that only one folder has, or that differ."""
    first, second = listed(one), listed(other)
    alone = sorted(set(first) ^ set(second))
    return alone + sorted(n for n in set(first) & set(second) if not alike(first[n], second[n]))


def alike(one: Path, other: Path) -> bool:
    """Tell whether two files hold the same; of HDF5 and npz every array, of gzip what is inside."""
    if one.name.endswith(".gz"):
        return gzip.decompress(one.read_bytes()) == gzip.decompress(other.read_bytes())
    if one.suffix == ".npz":
        with np.load(one) as first, np.load(other) as second:
            return _same(dict(first), dict(second))
    if one.suffix == ".h5":
        return _same(_datasets(one), _datasets(other))
    return one.read_bytes() == other.read_bytes()


def _datasets(path: Path) -> dict[str, np.ndarray]:
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def _same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        first[key].dtype == second[key].dtype and first[key].tobytes() == second[key].tobytes()
        if first[key].dtype.kind != "O"
        else np.array_equal(first[key], second[key])
        for key in first
    )
