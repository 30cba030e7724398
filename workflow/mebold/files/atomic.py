"""Files that appear whole: written beside, then renamed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

FULL_SUFFIXES = (".nii.gz", ".nii", ".json", ".tsv", ".txt", ".npz", ".npy", ".h5", ".png", ".svg")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`, and rename it to `path` on success."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = next((s for s in FULL_SUFFIXES if path.name.endswith(s)), path.suffix)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; derivatives follow the user's own permission mask.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
