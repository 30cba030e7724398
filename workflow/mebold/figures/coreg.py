"""Figure of an alignment: edges of one image on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import anatomy_layer, one_colour, row_figure, three_views
from mebold.figures.slices import Layer, bounding_box
from mebold.figures.style import ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def registration(
    boldref: np.ndarray,
    affine: np.ndarray,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    matrix: np.ndarray | None = None,
    *,
    mask: np.ndarray,
    edge_mm: float = 2.5,
    n_slices: int = 5,
    title: str = "Alignment of BOLD and T1w",
    subtitle: str = "",
) -> Figure:
    """Draw the edges of the BOLD reference on the T1w image in three views.

    Parameters
    ----------
    boldref : (x, y, z) array
        Reference image.
    affine : (4, 4) array
        Its grid.
    t1w, t1w_affine
        Anatomy and its grid.
    matrix : (4, 4) array, optional
        Takes T1w points to points of the reference image; default: the same frame.
    mask : (x, y, z) array
        Brain on the grid of the T1w image.
    edge_mm : float
        Scale of the edges in mm.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
    """
    mask = np.asarray(mask) > 0
    affine = np.asarray(affine, float)
    affine = affine if matrix is None else np.linalg.inv(matrix) @ affine
    bright = anatomy_layer(boldref, affine).vmax
    edges = Layer(boldref, affine, one_colour(ORANGE), 0, bright, order=1, edges=edge_mm)
    figure, _ = row_figure(
        three_views(mask, t1w_affine, [anatomy_layer(t1w, t1w_affine, mask), edges], n_slices),
        box=bounding_box(mask, t1w_affine, margin_mm=12),
        title=title,
        subtitle=subtitle or "Orange: edges of the BOLD reference on the T1w image",
    )
    return figure
