"""Cross-validated error of single-trial betas ("badness") as a quadratic form.

For every test trial i in a fold and every trial j of the same condition in a run outside the fold,
badness adds ``(z[j] - z_reference[i])**2``, where z are betas standardised by mean and standard
deviation of the reference betas of their session. With the pair counts P (i, j) this is
``sum_j w_j z_j**2 - 2 sum_j z_j t_j + constant``, with w the column sums of P and
``t = P' z_reference``: trials without partner never enter, and P is used once for all models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mebold.singletrial.blocks import NuisanceUpdate


def pair_counts(
    condition: np.ndarray, run: np.ndarray, folds: list[np.ndarray]
) -> sparse.csr_matrix:
    """Count the pairs (test trial, train trial) over all folds.

    Parameters
    ----------
    condition, run : ndarray of int, shape (N,)
        Condition and run of every trial.
    folds : list of ndarray of int
        Runs that are tested together.

    Returns
    -------
    csr_matrix, shape (N, N), float32
        Entry (i, j): in how many folds i is a test trial and j a train trial of its condition.
    """
    n_trials = len(condition)
    same = sparse.csr_matrix((np.ones(n_trials, np.float32), (np.arange(n_trials), condition)))
    pairs = sparse.csr_matrix((n_trials, n_trials), dtype=np.float32)
    for fold in folds:
        inside = np.isin(run, fold).astype(np.float32)
        test, train = sparse.diags(inside) @ same, sparse.diags(1 - inside) @ same
        pairs = pairs + test @ train.T
    pairs.eliminate_zeros()
    return pairs.astype(np.float32).tocsr()


@dataclass(frozen=True)
class Pairs:
    """Pair counts with what the quadratic form needs of them.

    Attributes
    ----------
    transposed : csr_matrix, (N, N)
        P'.
    train_weight, test_weight : ndarray, (N,) float32
        Column and row sums of P.
    partner : list of ndarray of int
        For every run, the trials (counted within the run) that are train trials of some pair.
    trials : list of slice
        Trials of every run.
    session : ndarray of int, (N,)
        Session of every trial.
    """

    transposed: sparse.csr_matrix
    train_weight: np.ndarray
    test_weight: np.ndarray
    partner: list[np.ndarray]
    trials: list[slice]
    session: np.ndarray

    @classmethod
    def build(
        cls,
        condition: np.ndarray,
        run: np.ndarray,
        folds: list[np.ndarray],
        trials: list[slice],
        session: np.ndarray,
    ) -> Pairs:
        """Count pairs and sum them up."""
        counts = pair_counts(condition, run, folds)
        train = np.asarray(counts.sum(axis=0)).ravel()
        test = np.asarray(counts.sum(axis=1)).ravel()
        partner = [np.flatnonzero(train[part]) for part in trials]
        return cls(counts.T.tocsr(), train, test, partner, trials, session)

    @property
    def exist(self) -> bool:
        """Whether any condition can be cross-validated."""
        return bool(self.train_weight.any())

    def run_session(self, run: int) -> int:
        """Return the session of a run."""
        return int(self.session[self.trials[run].start])


@dataclass(frozen=True)
class Reference:
    """Standardised reference betas of m voxels.

    Attributes
    ----------
    mean, inverse_sd : ndarray, (m, S) float32
        Of every session; inverse_sd is 0 where the betas do not vary.
    z : ndarray, (m, N) float32
    target : ndarray, (m, N) float32
        t of the module text.
    constant : ndarray, (m,) float64
        Sum of squares of the test trials.
    """

    mean: np.ndarray
    inverse_sd: np.ndarray
    z: np.ndarray
    target: np.ndarray
    constant: np.ndarray


def standardise(betas: np.ndarray, pairs: Pairs) -> Reference:
    """Standardise reference betas (m, N) by session and collect their partners."""
    n_sessions = int(pairs.session.max()) + 1
    mean = np.zeros((len(betas), n_sessions), np.float32)
    inverse = np.zeros_like(mean)
    z = np.empty_like(betas, dtype=np.float32)
    for number in range(n_sessions):
        inside = pairs.session == number
        part = betas if inside.all() else betas[:, inside]
        mean[:, number] = part.mean(axis=1)
        centred = part - mean[:, number, None]
        variance = np.einsum("vn,vn->v", centred, centred) / max(part.shape[1] - 1, 1)
        deviation = np.sqrt(variance)
        np.divide(1, deviation, out=inverse[:, number], where=deviation > 0)
        centred *= inverse[:, number, None]
        z[:, inside] = centred
    target = np.ascontiguousarray((pairs.transposed @ np.ascontiguousarray(z.T)).T)
    constant = np.einsum("vn,vn,n->v", z, z, pairs.test_weight).astype(np.float64)
    return Reference(mean, inverse, z, target, constant)


def nuisance_badness(
    reference: Reference,
    pairs: Pairs,
    updates: list[NuisanceUpdate],
    weights: list[np.ndarray],
) -> np.ndarray:
    """Return badness of models with a growing number of nuisance regressors.

    Parameters
    ----------
    reference : Reference
        Of the model without nuisance regressors, m voxels.
    pairs : Pairs
    updates : list of NuisanceUpdate
        For every run, how q nuisance regressors change the estimates.
    weights : list of ndarray, (m, q) float32
        For every run, the voxels' weights of the orthogonalised regressors (probe times data).

    Returns
    -------
    ndarray, shape (m, q + 1), float64
        Column k: badness with the first k regressors.
    """
    z, target, train = reference.z, reference.target, pairs.train_weight
    start = np.einsum("vn,vn,n->v", z, z, train) - 2 * np.einsum("vn,vn->v", z, target)
    badness = np.zeros((len(z), weights[0].shape[1] + 1))
    for run, (update, weight) in enumerate(zip(updates, weights, strict=True)):
        part = pairs.trials[run]
        change, count = update.change.astype(np.float32), train[part]
        form = change.T @ (count[:, None] * change)
        # Upper triangle with a doubled rim: column l holds the cross terms with the columns before.
        cross = np.triu(2 * form, 1) + np.diag(np.diag(form))
        linear = (target[:, part] - count * z[:, part]) @ change
        step = weight * reference.inverse_sd[:, pairs.run_session(run), None]
        badness[:, 1:] += step * (2 * linear + step @ cross)
    np.cumsum(badness, axis=1, out=badness)
    return badness + (start + reference.constant)[:, None]
