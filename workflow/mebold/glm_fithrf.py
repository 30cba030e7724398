"""On-off model and choice of a response shape per voxel (model types A and B)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mebold import glm_blocks, glm_stream
from mebold.glm_blocks import NuisanceUpdate, TrialBlock
from mebold.singletrial_inputs import Session

#: Voxels in one matrix product; small enough that its result stays in the processor cache.
PRODUCT_VOXELS = 512


@dataclass(frozen=True)
class OnOff:
    """On-off model: R2 (V,) percent, betas (V, 1) percent, mean (V,), whether a voxel is finite."""

    r2: np.ndarray
    betas: np.ndarray
    mean: np.ndarray
    finite: np.ndarray


def projected_trials(session: Session, run: int, response: np.ndarray) -> np.ndarray:
    """Return the trial regressors of one run without drifts, (T, n) float64."""
    basis = session.basis[run]
    regressors = glm_blocks.trial_regressors(session.onsets[run], response, len(basis))
    return glm_blocks.remove_columns(basis, regressors)


def trial_blocks(session: Session, response: np.ndarray) -> list[TrialBlock]:
    """Factorise the trial design of every run for one response."""
    return [
        glm_blocks.trial_block(projected_trials(session, run, response))
        for run in range(len(session.data))
    ]


def projected_extra(session: Session, run: int) -> np.ndarray | None:
    """Return the user regressors of one run without drifts, or None."""
    if session.extra is None:
        return None
    return glm_blocks.remove_drifts(session.basis[run], session.extra[run])


def fit_on_off(session: Session, *, chunk: int, n_threads: int) -> OnOff:
    """Fit all trials as one regressor with the assumed response, in one pass over the data."""
    basis = [polynomials.astype(np.float32) for polynomials in session.basis]
    plain, joint = [], []
    for run in range(len(session.data)):
        regressor = projected_trials(session, run, session.assumed).sum(axis=1, keepdims=True)
        plain.append(regressor)
        extra = projected_extra(session, run)
        if extra is not None:
            nuisance = glm_blocks.orthonormal_columns(extra)
            regressor = glm_blocks.remove_columns(nuisance, regressor)
        joint.append(regressor)
    gram = sum(float(np.vdot(column, column)) for column in plain)
    joint_gram = sum(float(np.vdot(column, column)) for column in joint)
    probes = [np.hstack(pair).astype(np.float32) for pair in zip(plain, joint, strict=True)]
    volumes = session.n_volumes

    def work(voxels: slice) -> tuple[np.ndarray, ...]:
        block = [glm_stream.read_run(run, voxels) for run in session.data]
        finite = glm_stream.finite_voxels(block)
        mean = np.zeros(len(finite))
        energy, products = np.zeros(len(finite)), np.zeros((len(finite), 2))
        for run, series in enumerate(block):
            series[~finite] = 0
            run_mean, run_energy = glm_stream.detrend(series, basis[run])
            mean += run_mean * volumes[run] / sum(volumes)
            energy += run_energy
            products += series @ probes[run]
        beta = products[:, 1] / joint_gram if joint_gram > 0 else np.zeros(len(finite))
        explained = 2 * beta * products[:, 0] - beta**2 * gram
        with np.errstate(divide="ignore", invalid="ignore"):
            r2, percent = 100 * explained / energy, 100 * beta / np.abs(mean)
        for values in (r2, percent, mean):
            values[~finite] = np.nan
        return r2, percent, mean, finite

    parts = glm_stream.for_blocks(work, session.n_voxels, chunk, n_threads)
    r2, percent, mean, finite = (np.concatenate(values) for values in zip(*parts, strict=True))
    return OnOff(r2, percent.astype(np.float32)[:, None], mean.astype(np.float32), finite)


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


def percent_of(explained: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Return explained sums of squares in percent of `energy`; NaN where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (100 * explained / energy).astype(np.float32)


def first_maximum(values: np.ndarray) -> np.ndarray:
    """Return the index of the maximum along the last axis; NaN counts as the maximum."""
    return np.argmax(values, axis=-1).astype(np.int16)
