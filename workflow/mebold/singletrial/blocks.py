"""Design algebra of one run: projections, least squares operators and nuisance regressors.

The single-trial model is block diagonal over runs, so everything here concerns one run of T
volumes and n trials. Small matrices are float64.

Notation: P removes slow polynomials, ``X`` is the projected trial design (T, n) and ``W`` (n, T)
has orthonormal rows that span the columns of X, so that ``W d`` is all that least squares needs to
know of a projected series d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

#: Columns (or eigenvalues) below this part of the largest carry no information.
NEGLIGIBLE = 1e-12
#: A nuisance regressor that keeps less than this part of its length is already explained.
COLLINEAR = 1e-8


def trial_regressors(onsets: np.ndarray, response: np.ndarray, n_volumes: int) -> np.ndarray:
    """Return one regressor per trial: the response, started at the trial's onset volume.

    Parameters
    ----------
    onsets : ndarray of int, shape (n,)
        Onset volume of every trial, 0 to T - 1.
    response : ndarray, shape (L,)
        Response sampled at the repetition time, the first sample at stimulus onset.
    n_volumes : int
        Length T of the run; responses are cut at its end.

    Returns
    -------
    ndarray, shape (T, n), float64
    """
    lag = np.arange(n_volumes)[:, None] - np.asarray(onsets)[None, :]
    padded = np.append(np.asarray(response, dtype=np.float64), 0.0)
    return padded[np.where((lag >= 0) & (lag < len(response)), lag, len(response))]


def remove_columns(basis: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Subtract from the columns of `matrix` what the orthonormal columns of `basis` explain."""
    return matrix - basis @ (basis.T @ matrix)


def remove_drifts(basis: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Remove drifts from nuisance regressors; what drifts explain becomes exactly 0.

    Without that, rounding errors of a constant or a linear trend would pass for a regressor.
    """
    clean = remove_columns(basis, regressors)
    explained = np.linalg.norm(clean, axis=0) <= COLLINEAR * np.linalg.norm(regressors, axis=0)
    clean[:, explained] = 0
    return clean


@dataclass(frozen=True)
class TrialBlock:
    """Least squares of all trials of one run for one response shape.

    Attributes
    ----------
    whiten : ndarray, shape (n, T)
        W; rows of trials that cannot be estimated are 0.
    root : ndarray, shape (n, n)
        With X = W' root, hence root' root is the Gram matrix.
    solve : ndarray, shape (n, T)
        Pseudo-inverse of X: estimates = solve d.
    """

    whiten: np.ndarray
    root: np.ndarray
    solve: np.ndarray


def trial_block(design: np.ndarray) -> TrialBlock:
    """Factorise the projected trial design of one run.

    Parameters
    ----------
    design : ndarray, shape (T, n), float64
        Trial regressors without slow drifts. Columns that are zero (a response that starts after
        the end of the run) get the estimate 0.

    Returns
    -------
    TrialBlock
    """
    n_trials = design.shape[1]
    gram = design.T @ design
    energy = np.diag(gram)
    good = np.flatnonzero(energy > NEGLIGIBLE * energy.max(initial=0.0))
    whiten = np.zeros((n_trials, design.shape[0]))
    root, solve = np.zeros((n_trials, n_trials)), np.zeros((n_trials, design.shape[0]))
    # The LAPACK routine reports a singular matrix instead of raising.
    factor, failed = linalg.lapack.dpotrf(gram[np.ix_(good, good)], lower=False, clean=True)
    if failed or (np.diag(factor) ** 2 <= NEGLIGIBLE * energy.max(initial=0.0)).any():
        return _singular_block(design, gram)
    rows = linalg.solve_triangular(factor, design[:, good].T, trans="T", check_finite=False)
    whiten[good] = rows
    solve[good] = linalg.solve_triangular(factor, rows, check_finite=False)
    root[np.ix_(good, good)] = factor
    return TrialBlock(whiten, root, solve)


def _singular_block(design: np.ndarray, gram: np.ndarray) -> TrialBlock:
    """Factorise a design whose regressors depend on each other: least squares of minimal norm."""
    values, vectors = ordered_eigh(gram)
    scale = np.sqrt(np.where(values > 0, values, np.inf))
    whiten = (vectors / scale).T @ design.T
    root = np.where(np.isfinite(scale), scale, 0.0)[:, None] * vectors.T
    return TrialBlock(whiten, root, (vectors / scale) @ whiten)


def ordered_eigh(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and eigenvectors of a Gram matrix, negligible eigenvalues set to 0."""
    values, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    floor = NEGLIGIBLE * values.max(initial=0.0)
    return np.where(values > floor, values, 0.0), vectors


@dataclass(frozen=True)
class NuisanceUpdate:
    """What nuisance regressors change in the estimates of one trial block.

    With the first k regressors in the model the estimates are
    ``solve d - change[:, :k] (probe[:k] d)``: one regressor more is one rank more.

    Attributes
    ----------
    probe : ndarray, shape (q, T)
        Orthonormal rows (0 for a regressor that adds nothing): nuisance without drifts, trials
        and earlier nuisance.
    change : ndarray, shape (n, q)
    """

    probe: np.ndarray
    change: np.ndarray


def nuisance_update(block: TrialBlock, regressors: np.ndarray) -> NuisanceUpdate:
    """Orthogonalise nuisance regressors, in their order, against trials and each other.

    Parameters
    ----------
    block : TrialBlock
    regressors : ndarray, shape (T, q), float64
        Nuisance regressors without slow drifts.

    Returns
    -------
    NuisanceUpdate
    """
    residual = regressors - block.whiten.T @ (block.whiten @ regressors)
    length = np.linalg.norm(regressors, axis=0)
    basis, upper = np.linalg.qr(residual)
    useful = np.abs(np.diag(upper)) > COLLINEAR * np.maximum(length, np.finfo(float).tiny)
    crossed = block.solve @ regressors
    if useful.all():
        change = linalg.solve_triangular(upper, crossed.T, trans="T", check_finite=False).T
        return NuisanceUpdate(basis.T, change)
    keep = np.flatnonzero(_independent(residual, length))
    probe = np.zeros((regressors.shape[1], regressors.shape[0]))
    change = np.zeros((crossed.shape[0], regressors.shape[1]))
    if keep.size:
        inner = nuisance_update(block, regressors[:, keep])
        probe[keep], change[:, keep] = inner.probe, inner.change
    return NuisanceUpdate(probe, change)


def _independent(residual: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mark the columns that add a direction to the columns before them."""
    keep = np.zeros(residual.shape[1], dtype=bool)
    basis = np.zeros((residual.shape[0], 0))
    for column in range(residual.shape[1]):
        # Twice, because one pass leaves rounding errors of nearly dependent columns.
        rest = remove_columns(basis, remove_columns(basis, residual[:, column : column + 1]))
        norm = np.linalg.norm(rest)
        # The tenfold limit makes sure that what is kept passes the test of the caller.
        keep[column] = norm > 10 * COLLINEAR * max(length[column], np.finfo(float).tiny)
        if keep[column]:
            basis = np.hstack([basis, rest / norm])
    return keep


def orthonormal_columns(matrix: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns, without directions of negligible length."""
    length = np.linalg.norm(matrix, axis=0)
    scaled = matrix[:, length > 0] / length[length > 0]
    if scaled.shape[1] == 0:
        return np.zeros((matrix.shape[0], 0))
    vectors, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return vectors[:, values > COLLINEAR * values[0]]
