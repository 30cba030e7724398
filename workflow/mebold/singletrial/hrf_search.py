"""Second pass of the fit: response per voxel, its betas, and badness of nuisance models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mebold.singletrial import stream
from mebold.singletrial.badness import Pairs, nuisance_badness, standardise
from mebold.singletrial.blocks import NuisanceUpdate, TrialBlock, nuisance_update, remove_drifts
from mebold.singletrial.inputs import Inputs
from mebold.singletrial.on_off import PRODUCT_VOXELS, OnOff
from mebold.singletrial.result import percent_of, to_percent


@dataclass
class SearchResult:
    """Response choice of V voxels; see the fields of the same meaning in ``SingleTrialFit``."""

    r2: np.ndarray
    index: np.ndarray
    index_run: np.ndarray
    r2_run: np.ndarray
    betas: np.ndarray
    badness: np.ndarray | None


class SearchModel:
    """Operators of the response search: one set of matrices per response and run.

    Parameters
    ----------
    inputs : Inputs
    blocks : list of list of TrialBlock
        For every response, its blocks of all runs.
    candidates : list of ndarray (T_r, K) or None
        Noise components to cross-validate.
    pairs : Pairs
    keep_extra : bool
        Keep the user regressors in the model without components, which the reference drops.
    """

    def __init__(
        self,
        inputs: Inputs,
        blocks: list[list[TrialBlock]],
        candidates: list[np.ndarray] | None,
        pairs: Pairs,
        *,
        keep_extra: bool,
    ):
        self.inputs, self.pairs = inputs, pairs
        self.n_extra = 0 if inputs.extra is None else inputs.extra[0].shape[1]
        self.updates = [self._updates(response, candidates) for response in blocks]
        extra = None
        if self.n_extra:
            extra = [[_first(u, self.n_extra) for u in response] for response in self.updates]
        self.search = ResponseSearch(blocks, extra)
        self.operators = [
            [
                np.concatenate([block.solve, update.probe]).astype(np.float32)
                for block, update in zip(*pair, strict=True)
            ]
            for pair in zip(blocks, self.updates, strict=True)
        ]
        self.badness_columns = None
        if candidates is not None:
            counts = self.n_extra + np.arange(1, candidates[0].shape[1] + 1)
            self.badness_columns = np.append(self.n_extra if keep_extra else 0, counts)

    def _updates(
        self, blocks: list[TrialBlock], candidates: list[np.ndarray] | None
    ) -> list[NuisanceUpdate]:
        """Orthogonalise user regressors and components against the trials of every run."""
        updates = []
        for run, block in enumerate(blocks):
            basis = self.inputs.basis[run]
            parts = [np.zeros((len(basis), 0))]
            if self.inputs.extra is not None:
                parts.append(self.inputs.extra[run])
            if candidates is not None:
                parts.append(candidates[run].astype(np.float64))
            regressors = remove_drifts(basis, np.hstack(parts))
            updates.append(nuisance_update(block, regressors))
        return updates

    def betas(self, series: list[np.ndarray], response: int) -> tuple[np.ndarray, np.ndarray, list]:
        """Fit the trials of m voxels that share a response.

        Returns
        -------
        plain : (m, N) betas without nuisance regressors
        with_extra : (m, N) betas with the user regressors (the same array when there are none)
        weights : list of (m, q) weights of the nuisance regressors in every run
        """
        plain = np.empty((len(series[0]), len(self.inputs.run)), np.float32)
        with_extra = plain if self.n_extra == 0 else np.empty_like(plain)
        weights = []
        for run, trials in enumerate(self.inputs.trial_slices):
            product = series[run] @ self.operators[response][run].T
            count = trials.stop - trials.start
            plain[:, trials] = product[:, :count]
            weights.append(product[:, count:])
            if self.n_extra:
                change = self.updates[response][run].change[:, : self.n_extra].astype(np.float32)
                shared = weights[-1][:, : self.n_extra] @ change.T
                with_extra[:, trials] = product[:, :count] - shared
        return plain, with_extra, weights


def _first(update: NuisanceUpdate, count: int) -> NuisanceUpdate:
    """Return the update by the first regressors only."""
    return NuisanceUpdate(update.probe[:count], update.change[:, :count])


def search(
    model: SearchModel,
    on_off: OnOff,
    *,
    betas_out: np.ndarray | None,
    chunk: int,
    n_threads: int,
    progress: Callable[[float], None] | None = None,
) -> SearchResult:
    """Choose a response for every voxel and cross-validate the nuisance models.

    Parameters
    ----------
    model : SearchModel
    on_off : OnOff
        Gives the mean for percent conversion and the voxels to fit.
    betas_out : ndarray (V, N) or None
        Where betas (percent) are written; not kept when None.
    chunk, n_threads, progress
        Voxels in a block, number of worker threads, and who hears of the share that is done.

    Returns
    -------
    SearchResult
    """
    inputs = model.inputs
    n_voxels, n_runs = inputs.n_voxels, len(inputs.data)
    n_responses = model.search.n_responses
    columns = model.badness_columns
    result = SearchResult(
        r2=np.empty((n_voxels, n_responses), np.float32),
        index=np.empty(n_voxels, np.int16),
        index_run=np.empty((n_voxels, n_runs), np.int16),
        r2_run=np.empty((n_voxels, n_runs), np.float32),
        betas=betas_out,
        badness=None if columns is None else np.empty((n_voxels, len(columns)), np.float32),
    )
    basis = [polynomials.astype(np.float32) for polynomials in inputs.basis]

    def work(voxels: slice) -> None:
        bad = ~on_off.fitted[voxels]
        explained = np.empty((len(bad), n_runs, n_responses))
        energy = np.empty((len(bad), n_runs))
        block = []
        for run in range(n_runs):
            series = stream.read_run(inputs.data[run], voxels, bad=bad)
            _, energy[:, run] = stream.detrend(series, basis[run])
            explained[:, run] = model.search.explained(series, run)
            block.append(series)
        index = _choose(result, voxels, explained, energy)
        for response in np.unique(index):
            chosen = np.flatnonzero(index == response)
            group = [series[chosen] for series in block]
            _fit_group(model, on_off, result, voxels.start + chosen, group, int(response))

    stream.for_blocks(work, n_voxels, chunk, n_threads, progress)
    return result


def _choose(
    result: SearchResult, voxels: slice, explained: np.ndarray, energy: np.ndarray
) -> np.ndarray:
    """Write R2 of all responses and the chosen ones of a block; return the choice."""
    total = percent_of(explained.sum(axis=1), energy.sum(axis=1)[:, None])
    by_run = percent_of(explained, energy[:, :, None])
    index = first_maximum(total)
    result.r2[voxels], result.index[voxels] = total, index
    result.index_run[voxels] = first_maximum(by_run)
    chosen = index[:, None, None].astype(np.int64)
    result.r2_run[voxels] = np.take_along_axis(by_run, chosen, axis=2)[:, :, 0]
    return index


def _fit_group(
    model: SearchModel,
    on_off: OnOff,
    result: SearchResult,
    voxels: np.ndarray,
    series: list[np.ndarray],
    response: int,
) -> None:
    """Write betas and badness of the voxels of a block that share a response."""
    plain, with_extra, weights = model.betas(series, response)
    if result.badness is not None:
        reference_betas = plain
        updates, start = model.updates[response], int(model.badness_columns[0])
        if start:
            reference_betas = with_extra
            updates = [NuisanceUpdate(u.probe[start:], u.change[:, start:]) for u in updates]
            weights = [weight[:, start:] for weight in weights]
        reference = standardise(reference_betas, model.pairs)
        badness = nuisance_badness(reference, model.pairs, updates, weights)
        result.badness[voxels] = badness[:, model.badness_columns - start]
    if result.betas is not None:
        result.betas[voxels] = to_percent(with_extra, on_off.mean[voxels])


class ResponseSearch:
    """Explained variance of every candidate response for blocks of voxels.

    Parameters
    ----------
    blocks : list of list of TrialBlock
        For every response, its blocks of all runs.
    extra : list of list of NuisanceUpdate or None
        For every response, what the user regressors change in every run.
    """

    def __init__(self, blocks: list[list[TrialBlock]], extra: list[list[NuisanceUpdate]] | None):
        self.n_responses = len(blocks)
        self._gain, self._loss = [], []
        for run in range(len(blocks[0])):
            gain = np.concatenate([response[run].whiten for response in blocks])
            self._gain.append(gain.astype(np.float32))
            if extra is not None:
                loss = [_loss_rows(b[run], e[run]) for b, e in zip(blocks, extra, strict=True)]
                self._loss.append(np.concatenate(loss).astype(np.float32))

    def explained(self, series: np.ndarray, run: int) -> np.ndarray:
        """Return the sum of squares that each response explains, (m, H) float64."""
        explained = np.empty((len(series), self.n_responses))
        for start in range(0, len(series), PRODUCT_VOXELS):
            part = slice(start, start + PRODUCT_VOXELS)
            explained[part] = self._squares(series[part], self._gain[run])
            if self._loss:
                explained[part] -= self._squares(series[part], self._loss[run])
        return explained

    def _squares(self, series: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Sum squares of projections over the rows that belong to one response."""
        product = (series @ rows.T).reshape(len(series), self.n_responses, -1)
        return np.einsum("vhn,vhn->vh", product, product)


def _loss_rows(block: TrialBlock, update: NuisanceUpdate) -> np.ndarray:
    """Return rows whose squared products are the R2 lost because trials share user regressors."""
    return np.linalg.qr(block.root @ update.change, mode="r") @ update.probe


def first_maximum(values: np.ndarray) -> np.ndarray:
    """Return the index of the maximum along the last axis; NaN counts as the maximum."""
    return np.argmax(values, axis=-1).astype(np.int16)
