"""Gram matrices of all patches, one position along x after the other.

A Hermitian matrix is kept packed in a real one of the same size: lower triangle and diagonal hold
the real part, the upper triangle the imaginary part. Packed matrices add up like the full ones at
half the memory.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from mebold.nordic.patches import Axis

_COLUMNS_AHEAD = 8  # finished columns that may wait to be added: bounds the memory


def _block(part: np.ndarray, spans: tuple, n_volumes: int) -> np.ndarray:
    """Copy the voxels of a block as (voxels, volumes) float64."""
    (x0, x1), (y0, y1), (z0, z1) = spans
    return part[x0:x1, y0:y1, z0:z1, :n_volumes].astype(np.float64).reshape(-1, n_volumes)


def pack(parts: list[np.ndarray], upper: np.ndarray) -> np.ndarray:
    """Packed Gram matrix of voxel series given as [real] or [real, imaginary] (voxels, n)."""
    if len(parts) == 1:
        return parts[0].T @ parts[0]
    stacked = np.concatenate(parts)
    gram = stacked.T @ stacked
    cross = parts[0].T @ parts[1]
    np.copyto(gram, cross - cross.T, where=upper)
    return gram


def unpack(packed: np.ndarray, *, is_complex: bool) -> np.ndarray:
    """Transposed Gram matrices (..., n, n); only their upper triangles are valid."""
    if not is_complex:
        return packed.copy()
    full = np.empty(packed.shape, dtype=np.complex128)
    full.real = np.swapaxes(packed, -1, -2)
    np.negative(packed, out=full.imag)
    diagonal = np.arange(packed.shape[-1])
    full.imag[..., diagonal, diagonal] = 0
    return full


def _sum_pieces(axis: Axis, terms: dict) -> list[np.ndarray]:
    """Add up the pieces of every patch of an axis."""
    sums = []
    for pieces in axis.patch_pieces:
        total = terms[pieces[0]].copy()
        for piece in pieces[1:]:
            total += terms[piece]
        sums.append(total)
    return sums


def _column(parts, x_span, y_span, z_axis: Axis, n_volumes: int, upper) -> np.ndarray:
    """Packed Gram matrices of the z patches over one x and y piece: (patches z, n, n)."""
    terms = {}
    for i, z_span in enumerate(z_axis.pieces):
        spans = (x_span, y_span, z_span)
        terms[i] = pack([_block(part, spans, n_volumes) for part in parts], upper)
    return np.stack(_sum_pieces(z_axis, terms))


def _x_piece(parts, x_span, axes, n_volumes: int, upper, pool: Executor) -> np.ndarray:
    """Packed Gram matrices over one x piece: (patches y, patches z, n, n)."""
    _, y_axis, z_axis = axes
    shape = (len(y_axis.positions), len(z_axis.positions), n_volumes, n_volumes)
    total = np.zeros(shape)
    pending: deque = deque()

    def add_oldest() -> None:
        piece, job = pending.popleft()
        column = job.result()
        for row, pieces in enumerate(y_axis.patch_pieces):
            if piece in pieces:
                total[row] += column

    # Sums in a fixed order give equal results with any number of threads.
    for piece, y_span in enumerate(y_axis.pieces):
        job = pool.submit(_column, parts, x_span, y_span, z_axis, n_volumes, upper)
        pending.append((piece, job))
        if len(pending) > _COLUMNS_AHEAD:
            add_oldest()
    while pending:
        add_oldest()
    return total


def gram_layers(
    parts: list[np.ndarray], axes: tuple[Axis, Axis, Axis], n_volumes: int, pool: Executor
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield the packed Gram matrices of all patches, position by position along x.

    Parameters
    ----------
    parts : list of (x, y, z, t) float32
        Real part, and imaginary part of complex data.
    axes : tuple of Axis
    n_volumes : int
        Volumes used, from the first.
    pool : Executor

    Yields
    ------
    position : int
        Index of the patches along x.
    terms : list of (patches y, patches z, n, n) float64
        Their sum holds the packed matrices; the arrays belong to several positions and must
        not be changed. Voxels before the next position may be overwritten when the generator
        is resumed.
    """
    x_axis = axes[0]
    upper = np.triu(np.ones((n_volumes, n_volumes), dtype=bool), 1)
    cache: dict[int, np.ndarray] = {}
    for position, pieces in enumerate(x_axis.patch_pieces):
        for piece in pieces:
            if piece not in cache:
                cache[piece] = _x_piece(parts, x_axis.pieces[piece], axes, n_volumes, upper, pool)
        yield position, [cache[piece] for piece in pieces]
        later = {p for following in x_axis.patch_pieces[position + 1 :] for p in following}
        cache = {piece: grams for piece, grams in cache.items() if piece in later}


def row_of_grams(terms: list[np.ndarray], row: int, *, is_complex: bool) -> np.ndarray:
    """Transposed Gram matrices of one y position: (patches z, n, n), upper triangles valid."""
    total = terms[0][row]
    for term in terms[1:]:
        total = total + term[row]
    return unpack(total, is_complex=is_complex)


_LARGEST_ERROR = 1e-9
_WORK_COLUMNS = 16  # block size of the LAPACK work space


def _reduce(matrix: np.ndarray, *, overwrite: bool) -> tuple:
    """LAPACK's reduction of a transposed Hermitian matrix to tridiagonal form."""
    reduce = lapack.zhetrd if np.iscomplexobj(matrix) else lapack.dsytrd
    # The transpose of a C-ordered array is what LAPACK wants, without a copy in between.
    return reduce(matrix.T, lower=1, lwork=_WORK_COLUMNS * len(matrix), overwrite_a=int(overwrite))


def eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """Eigenvalues of Hermitian matrices in descending order.

    Parameters
    ----------
    matrices : (m, n, n) complex128 or float64
        Transposed; only the upper triangles are read. They are overwritten.

    Returns
    -------
    values : (m, n) float64
    """
    values = np.empty(matrices.shape[:2])
    for i, matrix in enumerate(matrices):
        _, diagonal, beside, _, _ = _reduce(matrix, overwrite=True)
        ascending, info = lapack.dsterf(diagonal, beside)
        if info:
            full = np.diag(diagonal) + np.diag(beside, -1)
            ascending = np.linalg.eigvalsh(full)
        values[i] = ascending[::-1]
    return values


@dataclass(frozen=True)
class Tridiagonal:
    """A Hermitian matrix in tridiagonal form.

    Attributes
    ----------
    matrix : (n, n) array
        The transpose of the Hermitian matrix; only the upper triangle is used.
    reflectors, factors : arrays
        LAPACK's form of the unitary transformation.
    diagonal, beside : (n,) and (n - 1,) float64
    eigenvalues : (n,) float64
        Ascending.
    """

    matrix: np.ndarray
    reflectors: np.ndarray
    factors: np.ndarray
    diagonal: np.ndarray
    beside: np.ndarray
    eigenvalues: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Tridiagonal":
        """Reduce the transpose of `matrix` (n, n), of which the upper triangle is read."""
        form, diagonal, beside, factors, _ = _reduce(matrix, overwrite=False)
        values, info = lapack.dsterf(diagonal, beside)
        if info:
            values = np.linalg.eigvalsh(matrix.T)
        return cls(matrix, form, factors, diagonal, beside, values)

    def vectors(self, first: int, last: int) -> np.ndarray:
        """Orthonormal eigenvectors ``first`` to ``last - 1`` in ascending order: (n, k)."""
        n, count = len(self.diagonal), last - first
        padded = np.append(self.beside, 0.0)
        found, values, columns, info = lapack.dstemr(
            self.diagonal, padded, 2, 0.0, 0.0, first + 1, last
        )
        columns = columns[:, :count]
        if info or found != count or not self._accurate(values[:count], columns):
            return np.linalg.eigh(self.matrix.T)[1][:, first:last]
        apply = lapack.zunmqr if np.iscomplexobj(self.matrix) else lapack.dormqr
        vectors = np.asfortranarray(columns, dtype=self.matrix.dtype)
        tail, _, _ = apply(
            b"L",
            b"N",
            np.asfortranarray(self.reflectors[1:, : n - 1]),
            self.factors,
            np.asfortranarray(vectors[1:]),
            _WORK_COLUMNS * n,
        )
        vectors[1:] = tail
        return vectors

    def _accurate(self, values: np.ndarray, columns: np.ndarray) -> bool:
        """Whether tridiagonal eigenvectors are orthonormal and fit their eigenvalues."""
        residual = (self.diagonal[:, None] - values) * columns
        residual[:-1] += self.beside[:, None] * columns[1:]
        residual[1:] += self.beside[:, None] * columns[:-1]
        overlap = columns.T @ columns - np.eye(columns.shape[1])
        scale = np.abs(self.eigenvalues).max()
        return bool(
            np.abs(residual).max() <= _LARGEST_ERROR * scale
            and np.abs(overlap).max() <= _LARGEST_ERROR
        )
