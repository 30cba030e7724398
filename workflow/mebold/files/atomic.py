"""Files and folders that appear whole: written beside, then renamed."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: What this process has written, in its order: a job that fails takes all of it back.
written: list[Path] = []

#: What a disk without room says: full, a quota, a limit of file sizes.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

FULL_SUFFIXES = (".nii.gz", ".nii", ".json", ".tsv", ".txt", ".npz", ".npy", ".h5", ".png", ".svg")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`, and rename it to `path` on success.

    What a killed writer of the same file left beside is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = next((s for s in FULL_SUFFIXES if path.name.endswith(s)), path.suffix)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_without_leftovers(path), suffix=suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; derivatives follow the user's own permission mask.
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
        written.append(path.absolute())
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which takes the place of `path` on success."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=_without_leftovers(path)))
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())
        remove(path)
        partial.replace(path)
        written.append(path.absolute())
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def link(existing: str | Path, path: str | Path) -> None:
    """Give a file of the same folder a second name: a relative link, which moves with the folder.

    Parameters
    ----------
    existing, path : path-like
        File, and its second name; what is there under that name is replaced.

    Notes
    -----
    A file system without symbolic links gets a hard link, one without either a copy.
    """
    existing, path = Path(existing), Path(path)
    if existing.parent.absolute() != path.parent.absolute():
        message = f"{path} must lie in the folder of {existing}, whose second name it is."
        raise ValueError(message)
    with atomic(path) as partial:
        partial.unlink()
        try:
            partial.symlink_to(existing.name)
        except OSError:
            try:
                partial.hardlink_to(existing)
            except OSError:
                shutil.copyfile(existing, partial)


def reserve(partial: Path, size: int, *, path: str | Path) -> None:
    """Take disk space for a file that exists, which is then at least that long.

    Parameters
    ----------
    partial : Path
    size : int
        Bytes from the beginning of the file.
    path : path-like
        The name that it will have, for the message.

    Raises
    ------
    OSError
        When the disk has not as much room. Programs that find out later do not always say it: a
        mapped file ends its process, and HDF5 (1.14) crashes when it closes the file.
    """
    with partial.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in FULL:
                return  # a file system that cannot reserve
            message = f"no space left for {size / 1e6:.1f} MB"
            raise OSError(error.errno, message, str(path)) from error


def _without_leftovers(path: Path) -> str:
    """Return how temporary names of `path` begin, after removing those that are there."""
    prefix = f".partial-{hashlib.sha256(path.name.encode()).hexdigest()[:12]}-"
    for left in path.parent.glob(f"{prefix}*"):
        remove(left)
    return prefix


def remove_with_partials(path: Path) -> None:
    """Remove what a killed writer may have left of a file or folder, under its name and beside."""
    _without_leftovers(path)
    remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link (never what it points to) or a folder; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
