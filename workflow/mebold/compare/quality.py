"""Quality of a series in a few numbers: visual response, tSNR and spatial smoothness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.confounds import drifts
from mebold.errors import DataError
from mebold.rois import visual
from mebold.singletrial import stream


@dataclass(frozen=True)
class Smoothness:
    """Spatial smoothness of a series.

    Attributes
    ----------
    fwhm : float
        Geometric mean over the axes in mm; 0 where an axis shows no positive correlation.
    per_axis : ndarray, (3,), float64
        FWHM along each voxel axis in mm; NaN along an axis without neighbours.
    correlation : ndarray, (3,), float64
        Mean correlation over time of neighbouring voxels.
    """

    fwhm: float
    per_axis: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True)
class Quality:
    """Quality of the series of a session.

    Attributes
    ----------
    score : ndarray, (V,), float32
        Cross-validated visual response, see `mebold.rois.visual.score`.
    tsnr : ndarray, (R, V), float32
        See `tsnr`.
    fwhm : ndarray, (R,), float64
        Smoothness of each run, mm, see `smoothness`.
    """

    score: np.ndarray
    tsnr: np.ndarray
    fwhm: np.ndarray


def of_session(
    runs: Sequence[np.ndarray],
    regressors: Sequence[np.ndarray],
    mask: np.ndarray,
    *,
    tr: float,
    correlation_s: float,
    voxel_mm: np.ndarray,
    chunk_voxels: int | None = None,
) -> Quality:
    """Measure the series of a session with no more of them in memory than one run.

    Parameters
    ----------
    runs : sequence of ndarray, (V, T_r)
        Masked series; voxels are those of ``mask`` in C order. The pages of memory maps, which
        count as memory of a job, are given back.
    regressors : sequence of ndarray, (T_r,)
        Image trials convolved with an assumed response.
    mask : ndarray, (x, y, z), bool
    tr : float
        Seconds between samples.
    correlation_s : float
        Seconds over which noise may be correlated, see `mebold.rois.visual.run_response`.
    voxel_mm : array_like, (3,)
        Voxel sizes in mm.
    chunk_voxels : int, optional
        Voxels of all runs read at a time, see `mebold.singletrial.stream.block_size`.

    Returns
    -------
    Quality

    Raises
    ------
    DataError
        As `mebold.rois.visual.visual_response` and `smoothness`.
    """
    lags = round(correlation_s / tr)

    def score(voxels: slice) -> np.ndarray:
        block = [stream.read_run(run, voxels) for run in runs]
        return visual.score(block, regressors, tr=tr, lags=lags)

    size = stream.block_size(sum(map(len, regressors)), chunk_voxels)
    scores = np.concatenate(stream.for_blocks(score, int(np.sum(mask)), size, 1))
    ratios, widths = [], []
    for run, regressor in zip(runs, regressors, strict=True):
        series = stream.read_run(run, slice(None))
        degree = drifts.degree(len(regressor), tr=tr)
        ratios.append(tsnr(series, degree=degree))
        options = {"voxel_mm": voxel_mm, "degree": degree, "regressors": regressor[:, None]}
        widths.append(smoothness(series, mask, **options).fwhm)
    return Quality(scores, np.stack(ratios), np.array(widths))


def tsnr(series: np.ndarray, *, degree: int, chunk_voxels: int = 16384) -> np.ndarray:
    """Return the temporal signal-to-noise ratio after removal of polynomial drift.

    Parameters
    ----------
    series : ndarray, (V, T)
        Masked series of one run.
    degree : int
        Degree of the drift polynomials.
    chunk_voxels : int
        Voxels read at a time.

    Returns
    -------
    ndarray, (V,), float32
        Mean over standard deviation (degrees of freedom corrected); 0 for constant voxels.
    """
    basis = drifts.polynomials(series.shape[1], degree)
    dof = series.shape[1] - basis.shape[1]
    out = np.zeros(series.shape[0], np.float32)
    for start in range(0, series.shape[0], chunk_voxels):
        block = np.array(series[start : start + chunk_voxels], np.float64)
        mean = block.mean(1)
        block -= (block @ basis) @ basis.T
        sd = np.sqrt(np.einsum("vt,vt->v", block, block) / dof)
        usable = np.isfinite(sd) & (sd > 1e-6 * np.abs(mean)) & (mean > 0)
        out[start : start + len(block)] = np.where(usable, mean / np.where(usable, sd, 1), 0)
    return out


def smoothness(
    series: np.ndarray,
    mask: np.ndarray,
    *,
    voxel_mm: np.ndarray,
    degree: int,
    regressors: np.ndarray | None = None,
    chunk_pairs: int = 65536,
) -> Smoothness:
    """Estimate the smoothness from first differences of temporally standardised residuals.

    Every voxel's series loses drift (and task regressors), and is scaled to unit length. Half the
    mean squared difference of neighbours along an axis is then 1 - r, r their correlation, and a
    Gaussian of that correlation has FWHM = d sqrt(-2 ln 2 / ln r) with d the voxel size.

    Parameters
    ----------
    series : ndarray, (V, T)
        Masked series of one run; voxels are those of ``mask`` in C order.
    mask : ndarray, (x, y, z), bool
    voxel_mm : array_like, (3,)
        Voxel sizes in mm.
    degree : int
        Degree of the drift polynomials.
    regressors : ndarray, (T, P), optional
        Task regressors to remove, so that shared responses do not count as smoothness.
    chunk_pairs : int
        Neighbour pairs handled at a time.

    Returns
    -------
    Smoothness

    Raises
    ------
    DataError
        When the mask does not match the series or has no neighbouring voxels.

    References
    ----------
    Forman et al. 1995, Magnetic Resonance in Medicine 33.
    """
    mask = np.asarray(mask, bool)
    if mask.sum() != series.shape[0]:
        raise DataError(f"the mask has {mask.sum()} voxels, the series {series.shape[0]}")
    z, usable = _unit_residuals(series, degree, regressors)
    index = np.full(mask.shape, -1)
    index[mask] = np.where(usable, np.arange(len(z)), -1)
    correlation, per_axis = np.full(3, np.nan), np.full(3, np.nan)
    for axis in range(3):
        lower = np.take(index, range(mask.shape[axis] - 1), axis)
        upper = np.take(index, range(1, mask.shape[axis]), axis)
        both = (lower >= 0) & (upper >= 0)
        a, b = lower[both], upper[both]
        if a.size == 0:
            continue
        products = 0.0
        for start in range(0, a.size, chunk_pairs):
            part = slice(start, start + chunk_pairs)
            products += float(np.einsum("vt,vt->", z[a[part]], z[b[part]], dtype=np.float64))
        r = products / a.size
        correlation[axis] = r
        size = float(voxel_mm[axis])
        per_axis[axis] = size * np.sqrt(-2 * np.log(2) / np.log(min(r, 1 - 1e-9))) if r > 0 else 0
    known = per_axis[np.isfinite(per_axis)]
    if known.size == 0:
        raise DataError("smoothness: no two usable mask voxels are neighbours")
    fwhm = float(np.exp(np.log(known).mean())) if (known > 0).all() else 0.0
    return Smoothness(fwhm=fwhm, per_axis=per_axis, correlation=correlation)


def _unit_residuals(
    series: np.ndarray, degree: int, regressors: np.ndarray | None, chunk_voxels: int = 16384
) -> tuple[np.ndarray, np.ndarray]:
    """Remove drift and regressors, scale each series to unit length; flag usable voxels."""
    basis = drifts.polynomials(series.shape[1], degree)
    if regressors is not None:
        columns = np.column_stack([basis, np.asarray(regressors, float)])
        u, s, _ = np.linalg.svd(columns, full_matrices=False)
        basis = u[:, s > 1e-8 * s[0]]
    basis = basis.astype(np.float32)
    z = np.empty(series.shape, np.float32)
    usable = np.empty(len(z), bool)
    # By chunks, so that one copy of the run is in memory and not three.
    for start in range(0, len(z), chunk_voxels):
        part = slice(start, start + chunk_voxels)
        block = np.array(series[part], np.float32)
        mean = block.mean(1, keepdims=True)
        block -= mean
        block -= (block @ basis) @ basis.T
        norm = np.linalg.norm(block, axis=1)
        floor = 1e-6 * np.abs(mean[:, 0]) * np.sqrt(z.shape[1])
        usable[part] = np.isfinite(norm) & (norm > floor) & (norm > 0)
        z[part] = block / np.where(usable[part], norm, 1)[:, None]
    return z, usable
