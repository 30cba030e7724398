"""Figure of noise ceilings on the T1w image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import (
    anatomy_layer,
    robust_range,
    round_up,
    row_figure,
    same_grid,
    three_views,
    warm_map,
)
from mebold.figures.slices import Contour, Layer, bounding_box
from mebold.figures.style import GREEN, SKY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_UNKNOWN_CHANCE = 5.0  # percent


def noise_ceiling(
    percent: np.ndarray,
    affine: np.ndarray,
    *,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    mask: np.ndarray,
    roi: np.ndarray | None = None,
    vmax: float | None = None,
    threshold: float | None = None,
    significant: np.ndarray | None = None,
    n_slices: int = 6,
    title: str = "Noise ceiling",
    subtitle: str = "",
) -> Figure:
    """Draw a noise-ceiling map on the T1w image in three views.

    Parameters
    ----------
    percent : (x, y, z) array
        Noise ceiling in percent, 0 outside the brain.
    affine : (4, 4) array
        Its grid.
    t1w, t1w_affine
        Anatomy and its grid; may differ from the map's.
    mask : (x, y, z) array
        Brain on the grid of the map.
    roi : (x, y, z) array, optional
        Outlined, on the grid of the map.
    vmax : float, optional
        Upper end of the colours in percent; default the 99.5th percentile, rounded up.
    threshold : float, optional
        Percent at or below which the anatomy shows through: the ceiling that 5 % of the voxels
        pass by chance. Where it is not known (None, NaN) it is 5 %.
    significant : (x, y, z) array, optional
        Voxels above chance with false discoveries controlled; outlined, on the grid of the map.
    n_slices : int
        Slices per view.
    title, subtitle : str

    Returns
    -------
    Figure
    """
    same_grid("the noise-ceiling map", percent, mask)
    mask = np.asarray(mask) > 0
    known = threshold is not None and np.isfinite(threshold)
    threshold = float(threshold) if known else _UNKNOWN_CHANCE
    if vmax is None:
        # Some range is left above the threshold where nothing passes it by much.
        least = min(2 * threshold, (threshold + 100) / 2)
        vmax = max(round_up(robust_range(percent[mask], high=99.5)[1]), least)
    shown = Layer(
        np.where(mask, percent, np.nan), affine, warm_map(), threshold, vmax, below=threshold
    )
    layers = [anatomy_layer(t1w, t1w_affine), shown]
    outlines = [Contour(roi, affine, SKY, 0.6)] if roi is not None else []
    if significant is not None:
        same_grid("the mask of voxels above chance", significant, mask)
        outlines.append(Contour(significant, affine, GREEN, 0.9))
    by_chance = ", which 5 % of voxels pass by chance" if known else ""
    note = f"Coloured above {threshold:.3g} %{by_chance}; median in brain "
    note += f"{np.nanmedian(percent[mask]):.1f} %"
    if significant is not None:
        some = np.any(np.asarray(significant)[mask])
        note += (
            "\nGreen outline: above chance, false discoveries controlled"
            if some
            else "\nNothing is above chance with false discoveries controlled"
        )
    if roi is not None:
        inside = percent[np.asarray(roi) > 0]
        note += f"; blue outline: ROI, median {np.nanmedian(inside):.1f} %"
    focus = mask if roi is None else np.asarray(roi) > 0
    figure, _ = row_figure(
        three_views(focus, affine, layers, n_slices, contours=outlines),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"{subtitle}\n{note}" if subtitle else note,
        shared_bar=(shown, "Noise ceiling (%)"),
    )
    return figure
