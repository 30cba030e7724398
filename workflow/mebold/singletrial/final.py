"""Third pass of the fit: final betas with noise components and fractional ridge regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mebold.singletrial import stream
from mebold.singletrial.badness import Pairs, standardise
from mebold.singletrial.blocks import TrialBlock, orthonormal_columns, remove_drifts
from mebold.singletrial.inputs import Inputs
from mebold.singletrial.on_off import OnOff
from mebold.singletrial.result import percent_of, to_percent
from mebold.singletrial.ridge import RidgeModel, autoscale


@dataclass
class FinalResult:
    """Final betas of V voxels; see the fields of the same meaning in ``SingleTrialFit``."""

    denoise_r2: np.ndarray
    denoise_betas: np.ndarray | None
    rr_badness: np.ndarray | None
    frac_value: np.ndarray
    scale_offset: np.ndarray | None
    r2: np.ndarray
    r2_run: np.ndarray
    betas: np.ndarray | None


def fraction_list(fractions: np.ndarray | None) -> np.ndarray:
    """Return candidate fractions without repetition, largest first."""
    if fractions is None:
        return np.arange(20, 0, -1) / 20
    return np.unique(np.asarray(fractions, dtype=np.float64).ravel())[::-1]


class FinalModel:
    """Ridge models of every response in use.

    Parameters
    ----------
    inputs : Inputs
    blocks : list of list of TrialBlock
        For every response, its blocks of all runs.
    used : ndarray of int
        Responses that some voxel chose.
    nuisance : list of ndarray (T_r, q) or None
        Regressors of the final model, drifts included or not.
    pairs : Pairs
    fractions : ndarray
        Candidates, largest first.
    want_autoscale : bool
    """

    def __init__(
        self,
        inputs: Inputs,
        blocks: list[list[TrialBlock]],
        used: np.ndarray,
        nuisance: list[np.ndarray] | None,
        pairs: Pairs,
        *,
        fractions: np.ndarray,
        want_autoscale: bool,
    ):
        self.inputs, self.pairs, self.fractions = inputs, pairs, fractions
        self.cross_validate = len(fractions) > 1
        self.scale = want_autoscale and not (len(fractions) == 1 and fractions[0] == 1)
        removed: list[np.ndarray | None] = [None] * len(inputs.data)
        if nuisance is not None:
            removed = [
                orthonormal_columns(remove_drifts(basis, regressors))
                for basis, regressors in zip(inputs.basis, nuisance, strict=True)
            ]
        self.ridge: dict[int, RidgeModel] = {}
        for response in used.tolist():
            shape = inputs.library[:, response]
            designs = [inputs.projected_trials(run, shape) for run in range(len(removed))]
            self.ridge[response] = RidgeModel.build(
                designs, removed, blocks[response], inputs.trial_slices
            )

    def allocate(self, betas_out: np.ndarray | None, denoise_out: np.ndarray | None) -> FinalResult:
        """Make the arrays that the pass fills."""
        n_voxels, n_runs = self.inputs.n_voxels, len(self.inputs.data)
        scaled = np.empty((n_voxels, 2), np.float32) if self.scale else None
        badness = np.empty((n_voxels, len(self.fractions)), np.float32)
        return FinalResult(
            denoise_r2=np.empty(n_voxels, np.float32),
            denoise_betas=denoise_out,
            rr_badness=badness if self.cross_validate else None,
            frac_value=np.empty(n_voxels, np.float32),
            scale_offset=scaled,
            r2=np.empty(n_voxels, np.float32),
            r2_run=np.empty((n_voxels, n_runs), np.float32),
            betas=betas_out,
        )


def finish(
    model: FinalModel,
    on_off: OnOff,
    index: np.ndarray,
    result: FinalResult,
    *,
    chunk: int,
    n_threads: int,
    progress: Callable[[float], None] | None = None,
) -> FinalResult:
    """Fit all voxels with their response and write the results.

    Parameters
    ----------
    model : FinalModel
    on_off : OnOff
        Gives the mean for percent conversion and the voxels to fit.
    index : ndarray of int, shape (V,)
        Response of every voxel.
    result : FinalResult
        Filled and returned.
    chunk, n_threads, progress
        Voxels in a block, number of worker threads, and who hears of the share that is done.

    Returns
    -------
    FinalResult
    """
    inputs = model.inputs
    basis = [polynomials.astype(np.float32) for polynomials in inputs.basis]

    def work(voxels: slice) -> None:
        bad = ~on_off.fitted[voxels]
        block, energy = [], np.empty((len(bad), len(basis)))
        for run, polynomials in enumerate(basis):
            series = stream.read_run(inputs.data[run], voxels, bad=bad)
            _, energy[:, run] = stream.detrend(series, polynomials)
            block.append(series)
        for response in np.unique(index[voxels]).tolist():
            chosen = np.flatnonzero(index[voxels] == response)
            group = [series[chosen] for series in block]
            place = voxels.start + chosen
            _finish_group(
                model, model.ridge[response], on_off, result, place, group, energy[chosen]
            )

    stream.for_blocks(work, inputs.n_voxels, chunk, n_threads, progress)
    return result


def _finish_group(
    model: FinalModel,
    ridge: RidgeModel,
    on_off: OnOff,
    result: FinalResult,
    voxels: np.ndarray,
    series: list[np.ndarray],
    energy: np.ndarray,
) -> None:
    """Fit the voxels of a block that share a response."""
    rotated, whitened = ridge.project(series)
    full = ridge.betas(rotated)
    silent = energy.sum(axis=1) == 0
    explained = ridge.explained(full, whitened).sum(axis=1)
    result.denoise_r2[voxels] = percent_of(explained, energy.sum(axis=1))
    if result.denoise_betas is not None:
        result.denoise_betas[voxels] = to_percent(full, on_off.mean[voxels])
    alpha = ridge.alphas(rotated, model.fractions)
    best = np.zeros(len(voxels), dtype=np.int64)
    if result.rr_badness is not None:
        reference = standardise(full, model.pairs)
        badness = ridge.badness(rotated, alpha, reference, model.pairs)
        best = np.argmin(badness, axis=1)
        best[silent] = 0
        badness[silent] = np.nan
        result.rr_badness[voxels] = badness
    result.frac_value[voxels] = model.fractions[best]
    chosen = ridge.betas(rotated, np.take_along_axis(alpha, best[:, None], axis=1)[:, 0])
    by_run = ridge.explained(chosen, whitened)
    result.r2[voxels] = percent_of(by_run.sum(axis=1), energy.sum(axis=1))
    result.r2_run[voxels] = percent_of(by_run, energy)
    if result.scale_offset is not None:
        scaling = autoscale(full, chosen)
        chosen = chosen * scaling[:, :1].astype(np.float32) + scaling[:, 1:].astype(np.float32)
        scaling[silent] = np.nan
        result.scale_offset[voxels] = scaling
    if result.betas is not None:
        result.betas[voxels] = to_percent(chosen, on_off.mean[voxels])
