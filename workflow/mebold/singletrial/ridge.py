"""Fractional ridge regression of single-trial betas, one small eigendecomposition per run.

The stacked design of a session is block diagonal, so its Gram matrix has the eigenvalues of all
runs together and eigenvectors that live in one run. A fraction f of the length of the least
squares betas fixes one ridge parameter alpha per voxel for all runs.

References
----------
Rokem & Kay 2020, GigaScience 9:giaa133 (fractional ridge); GLMsingle 1.2, commit 1ab54a6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mebold.singletrial.badness import Pairs, Reference
from mebold.singletrial.blocks import TrialBlock, ordered_eigh, remove_columns

#: Decades of the alpha grid below the least and above the largest eigenvalue, and its step.
ALPHA_BELOW, ALPHA_ABOVE, ALPHA_STEP = 1e-2, 1e4, 0.2
#: Directions with a smaller singular value are set to 0.
MIN_SINGULAR = 1e-10
#: Voxels x fractions in one product; its result stays in the processor cache.
PRODUCT_ROWS = 4096


@dataclass(frozen=True)
class RidgeModel:
    """Ridge regression of all runs for one response and one set of nuisance regressors.

    n_r trials in run r, N in all.

    Attributes
    ----------
    rows : list of ndarray, (2 n_r, T_r) float32
        Rotated least squares estimates, then the whitened design without nuisance regressors.
    vectors : list of ndarray, (n_r, n_r) float32
        Eigenvectors of the Gram matrix: betas = rotated @ vectors'.
    roots : list of ndarray, (n_r, n_r) float32
        Factor of the Gram matrix without nuisance regressors.
    eigenvalues : ndarray, (N,) float64
    log_alpha : ndarray, (A,) float64
        log(1 + alpha) of the grid, the first 0.
    shrinkage : ndarray, (N, A) float32
        Squared factor of every direction on the grid.
    trials : list of slice
        Trials of every run.
    """

    rows: list[np.ndarray]
    vectors: list[np.ndarray]
    roots: list[np.ndarray]
    eigenvalues: np.ndarray
    log_alpha: np.ndarray
    shrinkage: np.ndarray
    trials: list[slice]

    @classmethod
    def build(
        cls,
        designs: list[np.ndarray],
        nuisance: list[np.ndarray | None],
        blocks: list[TrialBlock],
        trials: list[slice],
    ) -> RidgeModel:
        """Decompose the design of every run.

        Parameters
        ----------
        designs : list of ndarray, (T_r, n_r) float64
            Trial regressors without drifts.
        nuisance : list of ndarray (T_r, q) or None
            Orthonormal nuisance regressors without drifts.
        blocks : list of TrialBlock
            Factorisation of the designs.
        trials : list of slice
        """
        rows, vectors, values = [], [], []
        for design, removed, block in zip(designs, nuisance, blocks, strict=True):
            clean = design if removed is None else remove_columns(removed, design)
            eigenvalues, basis = ordered_eigh(clean.T @ clean)
            eigenvalues[eigenvalues < MIN_SINGULAR**2] = 0
            inverse = np.divide(
                1, eigenvalues, out=np.zeros_like(eigenvalues), where=eigenvalues > 0
            )
            rotated = (basis * inverse).T @ clean.T
            rows.append(np.concatenate([rotated, block.whiten]).astype(np.float32))
            vectors.append(basis.astype(np.float32))
            values.append(eigenvalues)
        merged = np.concatenate(values)
        alpha = alpha_grid(merged)
        factor = merged[:, None] / (np.where(merged > 0, merged, 1)[:, None] + alpha)
        roots = [block.root.astype(np.float32) for block in blocks]
        squared = (factor**2).astype(np.float32)
        return cls(rows, vectors, roots, merged, np.log1p(alpha), squared, trials)

    def project(self, series: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return rotated least squares betas and whitened data of m voxels, both (m, N)."""
        rotated = np.empty((len(series[0]), len(self.eigenvalues)), np.float32)
        whitened = np.empty_like(rotated)
        for run, part in enumerate(self.trials):
            product = series[run] @ self.rows[run].T
            count = part.stop - part.start
            rotated[:, part], whitened[:, part] = product[:, :count], product[:, count:]
        return rotated, whitened

    def alphas(self, rotated: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """Return the ridge parameter (m, F) at which betas have these fractions of their length."""
        squares = rotated**2
        full = squares.sum(axis=1)
        full[full == 0] = 1
        length = np.sqrt((squares @ self.shrinkage) / full[:, None]).astype(np.float64)
        alpha = interpolate_rows(fractions, length, self.log_alpha)
        return np.where(fractions == 1, 0.0, np.expm1(alpha))

    def betas(self, rotated: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
        """Return betas (m, N) for one ridge parameter per voxel, least squares without any."""
        betas = np.empty_like(rotated)
        for run, part in enumerate(self.trials):
            chosen = rotated[:, part]
            if alpha is not None:
                chosen = chosen * self._shrink(part, alpha[:, None])[:, 0]
            betas[:, part] = chosen @ self.vectors[run].T
        return betas

    def _shrink(self, part: slice, alpha: np.ndarray) -> np.ndarray:
        """Return the factors (m, F, n) of the directions of one run for alpha (m, F)."""
        values = self.eigenvalues[part].astype(np.float32)
        total = values + alpha[:, :, None].astype(np.float32)
        total[total == 0] = 1
        return np.divide(values, total, out=total)

    def explained(self, betas: np.ndarray, whitened: np.ndarray) -> np.ndarray:
        """Return the sum of squares of the data that betas explain in every run, (m, R) float64."""
        explained = np.empty((len(betas), len(self.trials)))
        for run, part in enumerate(self.trials):
            data = whitened[:, part]
            rest = data - betas[:, part] @ self.roots[run].T
            explained[:, run] = np.einsum("vn,vn->v", data, data)
            explained[:, run] -= np.einsum("vn,vn->v", rest, rest)
        return explained

    def badness(
        self, rotated: np.ndarray, alpha: np.ndarray, reference: Reference, pairs: Pairs
    ) -> np.ndarray:
        """Return cross-validated badness (m, F) of ridge betas against least squares betas.

        Only trials with a partner are rotated back. Per pair weight w the square is completed to
        ``w (z - t / w)**2``, which needs one array instead of two.
        """
        n_voxels, n_fractions = alpha.shape
        badness = np.zeros((n_voxels, n_fractions))
        weight = np.sqrt(pairs.train_weight)
        inverse_weight = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
        step = max(1, PRODUCT_ROWS // n_fractions)
        for run, part in enumerate(self.trials):
            local = pairs.partner[run]
            if local.size == 0:
                continue
            trials, number = local + part.start, pairs.run_session(run)
            inverse = reference.inverse_sd[:, number, None]
            mean = reference.mean[:, number, None] * inverse
            target = reference.target[:, trials] * inverse_weight[trials] + mean * weight[trials]
            target[inverse[:, 0] == 0] = 0
            back = (weight[trials, None] * self.vectors[run][local]).T
            for start in range(0, n_voxels, step):
                some = slice(start, start + step)
                shrunk = self._shrink(part, alpha[some])
                shrunk *= (rotated[some, part] * inverse[some])[:, None, :]
                error = shrunk.reshape(-1, shrunk.shape[2]) @ back
                error = error.reshape(*shrunk.shape[:2], -1)
                error -= target[some, None, :]
                badness[some] += np.einsum("vfn,vfn->vf", error, error)
        completed = (reference.target * inverse_weight) ** 2
        return badness + (reference.constant - completed.sum(axis=1))[:, None]


def alpha_grid(eigenvalues: np.ndarray) -> np.ndarray:
    """Return ridge parameters from 0 to where every direction has vanished."""
    positive = eigenvalues[eigenvalues > 0]
    if positive.size == 0:
        return np.zeros(1)
    low = np.floor(np.log10(ALPHA_BELOW * positive.min()))
    high = np.ceil(np.log10(ALPHA_ABOVE * positive.max()))
    return np.append(0.0, 10 ** np.arange(low, high, ALPHA_STEP))


def interpolate_rows(targets: np.ndarray, lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate `values` linearly at given points of decreasing rows, clamped at the ends.

    Parameters
    ----------
    targets : ndarray, shape (F,)
        Points at which values are wanted.
    lengths : ndarray, shape (m, A)
        Rows that do not increase.
    values : ndarray, shape (A,)

    Returns
    -------
    ndarray, shape (m, F)
    """
    if lengths.shape[1] == 1:
        return np.full((len(lengths), len(targets)), values[0])
    # Number of grid points still longer than the target: the target lies just after them.
    after = np.empty((len(lengths), len(targets)), dtype=np.int64)
    for column, target in enumerate(targets):
        after[:, column] = np.count_nonzero(lengths > target, axis=1)
    right = np.clip(after, 1, lengths.shape[1] - 1)
    above = np.take_along_axis(lengths, right - 1, axis=1)
    below = np.take_along_axis(lengths, right, axis=1)
    gap = above - below
    share = np.divide(above - targets, gap, out=np.zeros_like(gap), where=gap > 0)
    share = np.clip(share, 0, 1)
    return values[right - 1] + share * (values[right] - values[right - 1])


def autoscale(full: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return slope and offset (m, 2) that bring shrunken betas back to the scale of full ones.

    Parameters
    ----------
    full, chosen : ndarray, shape (m, N)
        Least squares betas and ridge betas.

    Returns
    -------
    ndarray, shape (m, 2), float64
        From the regression of `full` on `chosen`; (1, 0) where the slope would be negative or the
        chosen betas do not vary.
    """
    full_mean = full.mean(axis=1, dtype=np.float64)
    chosen_mean = chosen.mean(axis=1, dtype=np.float64)
    centred = chosen - chosen_mean[:, None].astype(np.float32)
    variance = np.einsum("vn,vn->v", centred, centred).astype(np.float64)
    covariance = np.einsum("vn,vn->v", centred, full).astype(np.float64)
    slope = np.divide(covariance, variance, out=np.ones_like(variance), where=variance > 0)
    offset = full_mean - slope * chosen_mean
    plain = (slope < 0) | (variance == 0)
    return np.column_stack([np.where(plain, 1.0, slope), np.where(plain, 0.0, offset)])
