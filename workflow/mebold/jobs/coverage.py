"""Where values are known: what a run saw of the output grid, and where a map holds results."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mebold.files import images, series, stream, tables

_BRAIN = "Brain voxels in which the run has data."
_DILATED = "All voxels of the series in which the run has data: brain, grown by a rim."
_KNOWN = "Voxels that every fitted run has data of: elsewhere the 0 of a map means unknown."
_SHARE = "Share of the samples in which the voxel was inside the field of view."


def save(
    out: object,
    data: np.ndarray,
    share: np.ndarray,
    *,
    mask: np.ndarray,
    brain: np.ndarray,
    affine: np.ndarray,
    about: Callable[..., dict],
) -> np.ndarray:
    """Write the masks of a run and the coverage of its voxels.

    Parameters
    ----------
    out : object
        Paths by the names ``mask``, ``series_mask`` and ``coverage``.
    data : (V, T) array
        Series in the voxels of `mask`, in C order; constant where there are no data.
    share : (V,) array
        From `mebold.resample.run.resample_run`.
    mask, brain : (x, y, z) bool array
        Voxels of the series, and those of the brain.
    affine : (4, 4) array
        Voxel to world of both, mm.
    about : callable
        Takes keys, returns the sidecar of one file; see `mebold.jobs.sidecar.Sidecar`.

    Returns
    -------
    (x, y, z) bool array
        Brain voxels with data.
    """
    covered = series.unmask(data.std(axis=1) > 0, mask, fill=False)
    measured = covered & brain
    whole = {"dtype": "uint8"}
    described = about(Type="Brain", Description=_BRAIN)
    images.save(out.mask, measured, affine, **whole, metadata=described)
    described = about(Type="ROI", Description=_DILATED)
    images.save(out.series_mask, covered, affine, **whole, metadata=described)
    series.save_map(out.coverage, share, mask, affine, metadata=about(Description=_SHARE))
    return measured


def known(path: str | Path) -> dict[str, str]:
    """Return the sidecar key of maps that are 0 where nothing is known: the mask that tells."""
    return {"CoverageMask": Path(path).name}


def read_known(path: str | Path, mask: np.ndarray) -> np.ndarray:
    """Read a map in the voxels of a mask, NaN where its coverage mask says that 0 means unknown.

    Of a series it is the mean over its volumes.

    Parameters
    ----------
    path : path-like
        With a sidecar beside it; without `known` in it all voxels count.
    mask : (x, y, z) bool array

    Returns
    -------
    (V,) array
    """
    header = images.load_header(path)
    if len(header.shape) == 4:
        total = sum(block[mask].sum(axis=1, dtype=np.float64) for _, block in stream.read(path))
        values = (total / header.shape[3]).astype(np.float32)
    else:
        values = images.load(path)[0][mask]
    name = tables.read_json(tables.sidecar(path)).get("CoverageMask")
    if name is None:
        return values
    return np.where(images.load_mask(Path(path).parent / name)[0][mask], values, np.nan)


def save_known(
    path: str | Path,
    values: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    about: Callable[..., dict],
) -> None:
    """Write where the maps of a product hold results; elsewhere their 0 means unknown.

    Parameters
    ----------
    path : path-like
    values : (V,) bool array
        In the voxels of `mask`, in C order.
    mask, affine, about
        See `save`.
    """
    metadata = about(Type="ROI", Description=_KNOWN)
    series.save_map(path, values, mask, affine, dtype=np.uint8, metadata=metadata)
