"""Figures of the echoes: temporal SNR and T2*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.figures.rows import robust_range, round_up, row_figure, same_grid, three_views
from mebold.figures.slices import Layer, bounding_box
from mebold.figures.style import BLUE, ORANGE, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tsnr(
    ratio: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    vmax: float | None = None,
    n_slices: int = 6,
    title: str = "Temporal signal-to-noise ratio",
) -> Figure:
    """Draw a tSNR map in three views.

    Parameters
    ----------
    ratio : (x, y, z) array
        tSNR, 0 outside.
    affine : (4, 4) array
    mask : (x, y, z) array
        Brain.
    vmax : float, optional
        Upper end of the colours; default the 98th percentile, rounded up.
    n_slices : int
        Slices per view.
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the tSNR map", ratio, mask)
    mask = np.asarray(mask) > 0
    vmax = vmax or round_up(robust_range(ratio[mask])[1])
    shown = Layer(np.where(mask, ratio, np.nan), affine, "viridis", 0, vmax)
    figure, _ = row_figure(
        three_views(mask, affine, [shown], n_slices),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Mean over standard deviation after drift removal; median in mask "
        f"{np.median(ratio[mask]):.1f}",
        shared_bar=(shown, "tSNR"),
    )
    return figure


def t2star(
    seconds: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    vmax_ms: float | None = None,
    n_slices: int = 6,
    title: str = "T2*",
) -> Figure:
    """Draw a T2* map with its histogram.

    Parameters
    ----------
    seconds : (x, y, z) array
        T2* in seconds, 0 where not fitted.
    affine : (4, 4) array
    mask : (x, y, z) array
        Brain.
    vmax_ms : float, optional
        Upper end of colours and histogram in ms; default the 98th percentile, rounded up.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the T2* map", seconds, mask)
    mask = (np.asarray(mask) > 0) & np.isfinite(seconds)
    values = 1000 * seconds[mask]
    fitted = values[values > 0]
    if fitted.size == 0:
        raise DataError("nothing to draw: no voxel of the mask has a T2* above 0")
    vmax_ms = vmax_ms or round_up(robust_range(fitted)[1])
    shown = Layer(np.where(mask, 1000 * seconds, np.nan), affine, "inferno", 0, vmax_ms)
    extra = 1.75
    figure, (_, top) = row_figure(
        three_views(mask, affine, [shown], n_slices),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Median {np.median(fitted):.1f} ms; {100 * np.mean(values <= 0):.1f} % of the "
        f"mask not fitted; {100 * np.mean(fitted > vmax_ms):.1f} % above {vmax_ms:g} ms",
        shared_bar=(shown, "T2* (ms)"),
        extra_inches=extra,
        max_height=8.5,
    )
    with style():
        axes = figure.add_axes([0.1, 0.25 * top, 0.78, 0.62 * top])
        axes.hist(np.minimum(fitted, vmax_ms), bins=80, range=(0, vmax_ms), color=BLUE, lw=0)
        axes.axvline(np.median(fitted), color=ORANGE, lw=1.2, label="median")
        axes.set(xlabel="T2* (ms); the last bin holds everything above", ylabel="Voxels")
        axes.set_xlim(0, vmax_ms)
        axes.legend(loc="upper left")
    return figure
