"""All eigenvalues, but only the wanted eigenvectors, of a Hermitian matrix.

Few components of a patch are signal. Reducing the Gram matrix to a tridiagonal one, taking all of
its eigenvalues and only the few vectors that are needed costs less than half of a full
decomposition.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

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
