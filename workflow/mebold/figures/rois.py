"""Figure of the visually responsive voxels on the T1w image."""

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
from mebold.figures.style import SKY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def visual_roi(
    score: np.ndarray,
    affine: np.ndarray,
    *,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    mask: np.ndarray,
    threshold: float,
    roi: np.ndarray | None = None,
    n_slices: int = 6,
    title: str = "Visually responsive voxels",
) -> Figure:
    """Draw the cross-validated image-versus-blank score and the ROI made from it.

    Parameters
    ----------
    score : (x, y, z) array
        Score of :func:`mebold.rois.visual.visual_response` or its consensus.
    affine : (4, 4) array
        Its grid.
    t1w, t1w_affine
        Anatomy and its grid.
    mask : (x, y, z) array
        Brain on the grid of the score.
    threshold : float
        Threshold of the ROI; colours begin at half of it.
    roi : (x, y, z) array, optional
        Outlined; default: voxels of the mask above the threshold.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the score map", score, mask)
    mask = np.asarray(mask) > 0
    roi = mask & (score > threshold) if roi is None else np.asarray(roi) > 0
    vmax = max(round_up(robust_range(score[mask], high=99.5)[1]), 2 * threshold)
    shown = Layer(
        np.where(mask, score, np.nan), affine, warm_map(), threshold / 2, vmax, below=threshold / 2
    )
    figure, _ = row_figure(
        three_views(
            roi if roi.any() else mask,
            affine,
            [anatomy_layer(t1w, t1w_affine), shown],
            n_slices,
            contours=[Contour(roi, affine, SKY, 0.6)],
        ),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Blue outline: {int(roi.sum())} voxels of the ROI, "
        f"{100 * roi.sum() / mask.sum():.1f} % of the brain; threshold {threshold:g}",
        shared_bar=(shown, "Cross-validated score"),
    )
    return figure
