"""On-off model and choice of a response shape per voxel (model types A and B)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mebold.singletrial import blocks, stream
from mebold.singletrial.inputs import Inputs

#: Voxels in one matrix product; small enough that its result stays in the processor cache.
PRODUCT_VOXELS = 512


@dataclass(frozen=True)
class OnOff:
    """On-off model of every voxel; NaN where a voxel is not fitted.

    Attributes
    ----------
    r2, betas : (V,), (V, 1) array
        Percent.
    mean : (V,) array
        Over all runs, in units of the data; NaN only where samples are not finite.
    lacking : (V, R) bool array
        Runs in which a voxel has no data: samples that are not finite, or nothing beyond drift.
    """

    r2: np.ndarray
    betas: np.ndarray
    mean: np.ndarray
    lacking: np.ndarray

    @property
    def fitted(self) -> np.ndarray:
        """True where every run has data, (V,).

        A run without data has betas that do not vary; standardised and compared over repeats, they
        would pass for responses that agree.
        """
        return ~self.lacking.any(axis=1)


def fit_on_off(
    inputs: Inputs, *, chunk: int, n_threads: int, progress: Callable[[float], None] | None = None
) -> OnOff:
    """Fit all trials as one regressor with the assumed response, in one pass over the data."""
    basis = [polynomials.astype(np.float32) for polynomials in inputs.basis]
    plain, joint = [], []
    for run in range(len(inputs.data)):
        regressor = inputs.projected_trials(run, inputs.assumed).sum(axis=1, keepdims=True)
        plain.append(regressor)
        extra = inputs.projected_extra(run)
        if extra is not None:
            nuisance = blocks.orthonormal_columns(extra)
            regressor = blocks.remove_columns(nuisance, regressor)
        joint.append(regressor)
    gram = sum(float(np.vdot(column, column)) for column in plain)
    joint_gram = sum(float(np.vdot(column, column)) for column in joint)
    probes = [np.hstack(pair).astype(np.float32) for pair in zip(plain, joint, strict=True)]
    volumes = inputs.n_volumes

    def work(voxels: slice) -> tuple[np.ndarray, ...]:
        block = [stream.read_run(run, voxels) for run in inputs.data]
        finite = stream.finite_voxels(block)
        lacking = ~finite
        mean = np.zeros(len(block[0]))
        energy, products = np.zeros(len(mean)), np.zeros((len(mean), 2))
        for run, series in enumerate(block):
            series[~finite.all(axis=1)] = 0
            run_mean, run_energy = stream.detrend(series, basis[run])
            lacking[:, run] |= finite.all(axis=1) & (run_energy == 0)
            mean += run_mean * volumes[run] / sum(volumes)
            energy += run_energy
            products += series @ probes[run]
        beta = products[:, 1] / joint_gram if joint_gram > 0 else np.zeros(len(finite))
        explained = 2 * beta * products[:, 0] - beta**2 * gram
        with np.errstate(divide="ignore", invalid="ignore"):
            r2, percent = 100 * explained / energy, 100 * beta / np.abs(mean)
        for values in (r2, percent):
            values[lacking.any(axis=1)] = np.nan
        mean[~finite.all(axis=1)] = np.nan
        return r2, percent, mean, lacking

    parts = stream.for_blocks(work, inputs.n_voxels, chunk, n_threads, progress)
    r2, percent, mean, lacking = (np.concatenate(values) for values in zip(*parts, strict=True))
    return OnOff(r2, percent.astype(np.float32)[:, None], mean.astype(np.float32), lacking)
