"""Geometry of the overlapping patches of NORDIC, and how much work their overlaps share.

A patch with ``m`` voxels and ``n`` volumes enters the method only through its Gram matrix
``A^H A`` (n x n), and neighbouring patches have most voxels in common. Every axis is therefore
cut into *pieces*, so that a patch is a disjoint union of a few of them and each voxel is
multiplied once and not once per patch. In the opposite direction the patches that cover the same
*cell* are averaged as projectors before they meet the data.
"""

import dataclasses
import itertools
from collections import Counter
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from mebold.errors import ConfigError, DataError


@dataclass(frozen=True)
class Axis:
    """Patches along one axis.

    Attributes
    ----------
    size, kernel : int
        Voxels of the image and of a patch.
    positions : tuple of int
        First voxel of every distinct patch, ascending.
    weights : tuple of int
        How often each patch counts in the averages.
    pieces : tuple of (start, stop)
        Voxel ranges; pieces of different patches may overlap.
    patch_pieces : tuple of tuple of int
        For every patch, the pieces whose disjoint union it is.
    cells : tuple of (start, stop)
        Disjoint ranges that fill the axis; all voxels of a cell lie in the same patches.
    cell_patches : tuple of tuple of int
        For every cell, the patches that cover it.
    """

    size: int
    kernel: int
    positions: tuple
    weights: tuple
    pieces: tuple
    patch_pieces: tuple
    cells: tuple
    cell_patches: tuple

    @property
    def coverage(self) -> np.ndarray:
        """How many patches (with their weights) cover each voxel: (size,) int."""
        count = np.zeros(self.size, dtype=int)
        for start, weight in zip(self.positions, self.weights, strict=True):
            count[start : start + self.kernel] += weight
        return count

    def group(self, first: int, last: int) -> "Axis":
        """Restrict the axis to some of its patches and their pieces; cells stay as they are."""
        chosen = self.patch_pieces[first:last]
        number = {piece: i for i, piece in enumerate(sorted({p for ps in chosen for p in ps}))}
        return dataclasses.replace(
            self,
            positions=self.positions[first:last],
            weights=self.weights[first:last],
            pieces=tuple(self.pieces[piece] for piece in number),
            patch_pieces=tuple(tuple(number[p] for p in pieces) for pieces in chosen),
        )


def _axis(size: int, kernel: int, step: int, counts: dict) -> Axis:
    """Cut an axis whose patches start at the keys of `counts`, each with its weight."""
    positions = sorted(counts)
    pieces, patch_pieces = {}, []
    for start in positions:
        inner = range((start // step + 1) * step, start + kernel, step)
        edges = [start, *inner, start + kernel]
        spans = itertools.pairwise(edges)
        patch_pieces.append(tuple(pieces.setdefault(span, len(pieces)) for span in spans))
    edges = sorted({0, size, *positions, *(start + kernel for start in positions)})
    cells = tuple(itertools.pairwise(edges))
    cell_patches = tuple(
        tuple(i for i, start in enumerate(positions) if start <= a and b <= start + kernel)
        for a, b in cells
    )
    return Axis(
        size,
        kernel,
        tuple(positions),
        tuple(counts[start] for start in positions),
        tuple(pieces),
        tuple(patch_pieces),
        cells,
        cell_patches,
    )


def first_axis(size: int, kernel: int, overlap: float, *, compat: bool) -> Axis:
    """Patches along x.

    The reference program stops one voxel early, so that the last row is in no patch. `compat`
    keeps this; otherwise the missing patch is added.
    """
    step = max(1, int(kernel / overlap))
    starts = set(range(0, size - kernel, step)) | {size - kernel - 1}
    if not compat:
        starts.add(size - kernel)
    return _axis(size, kernel, step, {start: 1 for start in starts if start >= 0})


def other_axis(size: int, kernel: int, overlap: float) -> Axis:
    """Patches along y or z: the patch at the far border counts once more, as in the reference."""
    step = max(1, int(kernel / overlap))
    starts = [*range(0, size - kernel + 1, step), size - kernel]
    return _axis(size, kernel, step, Counter(starts))


def _check_patch(kernel: tuple, overlap: float, name: str) -> None:
    """Refuse patch sizes and overlaps that have no meaning."""
    if len(kernel) != 3 or not all(isinstance(k, Integral) and k > 0 for k in kernel):
        raise ConfigError(
            f"{name} is {tuple(kernel)!r}; accepted are three numbers of voxels, 1 or more."
        )
    if not overlap > 0:
        overlap_name = name.replace("kernel_size", "patch_overlap")
        raise ConfigError(f"{overlap_name} is {overlap!r}; accepted are values above 0.")


def patch_axes(
    shape: tuple, kernel: tuple, overlap: float, *, compat: bool, name: str
) -> tuple[Axis, Axis, Axis]:
    """Patches of an image along its three axes.

    Parameters
    ----------
    shape, kernel : (3,) int
        Voxels of the image and of a patch.
    overlap : float
        Patches start every ``floor(kernel / overlap)`` voxels, at least 1.
    compat : bool
        Leave the last row along x out, as the reference program does.
    name : str
        Of the kernel, for error messages.

    Returns
    -------
    axes : tuple of Axis

    Raises
    ------
    ConfigError
        When `kernel` or `overlap` have no meaning.
    DataError
        When a patch does not fit into the image.
    """
    _check_patch(kernel, overlap, name)
    limits = (shape[0] - 1 if compat else shape[0], shape[1], shape[2])
    for axis, limit, width in zip("xyz", limits, kernel, strict=True):
        if width > limit:
            detail = " (one voxel less than the image along x with compat=True)" if compat else ""
            raise DataError(
                f"{name} is {tuple(kernel)} voxels, but the image has {tuple(shape)}: "
                f"at most {limit} fit along {axis}{detail}. Give a smaller {name}."
            )
    return (
        first_axis(shape[0], kernel[0], overlap, compat=compat),
        other_axis(shape[1], kernel[1], overlap),
        other_axis(shape[2], kernel[2], overlap),
    )


def automatic_kernel(shape: tuple, n_volumes: int, kernel: tuple | None) -> tuple[int, int, int]:
    """Patch size of the denoising pass.

    Without a given `kernel` it is a cube with about 11 times as many voxels as volumes. When the
    image has no more slices than the patch, all slices are taken and the patch widens in plane to
    the same ratio; this replaces a given kernel, too.

    Parameters
    ----------
    shape : (3,) int
        Voxels of the image.
    n_volumes : int
        Noise volumes included.
    kernel : (3,) int or None

    Returns
    -------
    kernel : (3,) int
    """
    if kernel is None:
        kernel = (int((11 * n_volumes) ** (1 / 3) + 0.5),) * 3
    _check_patch(kernel, 1, "kernel_size")
    if shape[2] <= kernel[2]:
        width = int((11 * n_volumes / shape[2]) ** 0.5 + 0.5)
        return width, width, int(shape[2])
    return tuple(int(k) for k in kernel)


def box_sums(volume: np.ndarray, axes: tuple[Axis, Axis, Axis]) -> np.ndarray:
    """Sum a volume over every patch: (patches x, patches y, patches z) of its own dtype."""
    total = volume
    for dim, axis in enumerate(axes):
        sums = np.insert(np.cumsum(total, axis=dim), 0, 0, axis=dim)
        starts = np.asarray(axis.positions)
        total = np.take(sums, starts + axis.kernel, axis=dim) - np.take(sums, starts, axis=dim)
    return total


def spread(values: np.ndarray, axes: tuple[Axis, Axis, Axis]) -> np.ndarray:
    """Average patch values over the patches that cover each voxel.

    Parameters
    ----------
    values : (patches x, patches y, patches z) array
    axes : tuple of Axis

    Returns
    -------
    volume : (x, y, z) float64
        NaN where no patch lies.
    """
    total, coverage = np.asarray(values, dtype=np.float64), np.ones((1, 1, 1))
    for dim, axis in enumerate(axes):
        cover = np.zeros((axis.size, len(axis.positions)))
        for i, (start, weight) in enumerate(zip(axis.positions, axis.weights, strict=True)):
            cover[start : start + axis.kernel, i] = weight
        total = np.moveaxis(np.tensordot(cover, total, axes=(1, dim)), 0, dim)
        coverage = coverage * axis.coverage.reshape([-1 if d == dim else 1 for d in range(3)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(coverage > 0, total / coverage, np.nan)
