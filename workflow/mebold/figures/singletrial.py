"""Figures of the single-trial fit: betas, noise components, maps of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.figures.rows import robust_range, round_up, row_figure, same_grid
from mebold.figures.slices import Layer, Row, bounding_box, spread
from mebold.figures.style import BLUE, GREY, INK, RED, WIDTH, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def beta_carpet(
    betas: np.ndarray,
    runs: Sequence,
    *,
    order: np.ndarray | None = None,
    limit: float | None = None,
    max_voxels: int = 200,
    title: str = "Single-trial betas",
) -> Figure:
    """Draw betas as voxels by trials, with the mean of every trial above.

    Parameters
    ----------
    betas : (V, N) array
        Percent signal change, trials in session order.
    runs : sequence, (N,)
        Run of each trial; changes are marked.
    order : (V,) array, optional
        Voxels are sorted by it, largest on top (noise ceiling or R2).
    limit : float, optional
        Colours reach from ``-limit`` to ``limit`` percent; default the 98th percentile of |beta|.
    max_voxels : int
        Rows drawn, at most the 400 pixels there are for them; neighbours in the order are averaged
        down to that.
    title : str

    Returns
    -------
    Figure
        Stripes over all voxels are trials with artefacts; blocks that follow runs are drifts.
    """
    betas = np.asarray(betas, np.float32)
    runs = np.asarray(runs)
    if betas.ndim != 2 or runs.shape != (betas.shape[1],):
        raise DataError(f"betas {betas.shape} and runs {runs.shape} do not belong together")
    rows, n_voxels = _carpet_rows(betas, order, max_voxels)
    limit = limit or float(np.percentile(np.abs(rows), 98)) or 1.0
    changes = np.flatnonzero(runs[1:] != runs[:-1]) + 0.5
    with style():
        figure = new_figure(WIDTH, 4.2, layout="constrained")
        top, carpet = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4))
        top.plot(np.arange(rows.shape[1]), rows.mean(0), color=INK, lw=0.7)
        top.axhline(0, color=GREY, lw=0.5)
        top.set_ylabel("Mean (%)")
        top.set_title(title, loc="left", fontweight="bold")
        image = carpet.imshow(
            rows, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        for axes in (top, carpet):
            for x in changes:
                axes.axvline(x, color=INK, lw=0.6, ls=":")
        sorting = "" if order is None else ", highest rank on top"
        carpet.set(xlabel="Trial of the session; dotted: change of run", yticks=[])
        carpet.set_ylabel(f"{n_voxels} voxels{sorting}")
        figure.colorbar(image, ax=carpet, label="Beta (% signal change)", pad=0.01, aspect=30)
    return figure


def _carpet_rows(
    betas: np.ndarray, order: np.ndarray | None, max_rows: int
) -> tuple[np.ndarray, int]:
    """Return at most `max_rows` means of neighbours in the order, and the number of voxels.

    Row by row: a sorted copy of a session's betas would double the memory of a fit.
    """
    voxels = np.flatnonzero(np.isfinite(betas.sum(axis=1, dtype=np.float64)))
    if not voxels.size:
        raise DataError("nothing to draw: no voxel has finite betas")
    if order is not None:
        voxels = voxels[np.argsort(-np.asarray(order, float)[voxels], kind="stable")]
    groups = np.array_split(voxels, min(max_rows, voxels.size))
    return np.stack([betas[group].mean(axis=0) for group in groups]), voxels.size


def component_curve(
    curve: np.ndarray | None, *, chosen: int, title: str = "Number of noise components"
) -> Figure:
    """Draw how cross-validated performance depends on the number of noise components.

    Parameters
    ----------
    curve : (K + 1,) array or None
        Performance with 0 .. K components (higher is better), as GLMsingle's ``xvaltrend``; None
        where the number was not cross-validated.
    chosen : int
        Number chosen.
    title : str

    Returns
    -------
    Figure
    """
    if curve is None:
        with style():
            figure = new_figure(4.6, 1.0)
            text = f"{chosen} GLMdenoise components, not chosen by cross-validation (no repeats "
            figure.text(0.02, 0.5, f"{text}across runs, or fixed by the configuration).", wrap=True)
            figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
        return figure
    curve = np.asarray(curve, float)
    if curve.ndim != 1 or not 0 <= chosen < curve.size:
        raise DataError(
            f"{chosen} components chosen, but the curve has shape {curve.shape}; its first value "
            "belongs to 0 components"
        )
    change = curve - curve[0]
    with style():
        figure = new_figure(4.6, 2.9, layout="constrained")
        axes = figure.subplots()
        axes.plot(np.arange(curve.size), change, "o-", color=BLUE, ms=4, lw=1.2)
        axes.plot(
            chosen, change[chosen], "o", ms=10, mfc="none", mec=RED, mew=1.6,
            label=f"chosen: {chosen}",
        )  # fmt: skip
        axes.axhline(0, color=GREY, lw=0.5)
        axes.set(
            xlabel="GLMdenoise components",
            ylabel="Change in cross-validated\nperformance (squared z units)",
            xticks=np.arange(curve.size),
        )
        axes.set_title(title, loc="left", fontweight="bold")
        axes.legend(loc="best")
    return figure


def model_maps(
    hrf_index: np.ndarray,
    fraction: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    r2: np.ndarray | None = None,
    n_hrf: int = 20,
    n_slices: int = 6,
    title: str = "Single-trial model",
) -> Figure:
    """Draw which response function and how much ridge each voxel was given.

    Parameters
    ----------
    hrf_index : (x, y, z) array
        Index into the library, 0 .. ``n_hrf - 1``.
    fraction : (x, y, z) array
        Ridge fraction, above 0 to 1 (1 = no shrinkage).
    affine : (4, 4) array
    mask : (x, y, z) array
        Voxels of the model.
    r2 : (x, y, z) array, optional
        Variance explained in percent, a third row.
    n_hrf : int
        Size of the library.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    import matplotlib as mpl

    mask = np.asarray(mask) > 0
    positions = spread(mask, affine, axis=2, n=n_slices)
    steps = mpl.colormaps["viridis"].resampled(n_hrf)
    rows = []
    for volume, cmap, low, high, label, bar, ticks in (
        (hrf_index, steps, -0.5, n_hrf - 0.5, "HRF", "Response index", range(0, n_hrf, 5)),
        (fraction, "cividis", 0, 1, "ridge", "Ridge fraction", None),
        (r2, "magma", 0, None, "R²", "Variance explained (%)", None),
    ):
        if volume is None:
            continue
        same_grid(f"the map of {bar.lower()}", volume, mask)
        high = round_up(robust_range(volume[mask], high=99)[1]) if high is None else high
        layer = Layer(np.where(mask, volume, np.nan), affine, cmap, low, high)
        rows.append(Row(2, positions, [layer], label=label, bar=(layer, bar), bar_ticks=ticks))
    figure, _ = row_figure(
        rows,
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Median ridge fraction {np.nanmedian(fraction[mask]):.2f} (1 = no shrinkage)",
    )
    return figure
