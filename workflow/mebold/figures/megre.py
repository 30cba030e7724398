"""Figure of T2* of a multi-echo gradient echo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.figures.rows import anatomy_layer, robust_range, round_up, row_figure, three_views
from mebold.figures.slices import Layer, bounding_box

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def t2star(
    t2star_s: np.ndarray,
    combined: np.ndarray,
    affine: np.ndarray,
    *,
    title: str,
    te_s: Sequence[float],
    n_slices: int = 5,
) -> Figure:
    """Draw the combined echoes and T2* in three views.

    Parameters
    ----------
    t2star_s : (x, y, z) array
        Seconds, 0 outside the object.
    combined : (x, y, z) array
        Echoes as one image.
    affine : (4, 4) array
        Grid of both.
    title : str
    te_s : sequence of float
        Echo times, s.
    n_slices : int

    Returns
    -------
    Figure
    """
    inside = t2star_s > 0
    if not inside.any():
        raise DataError("nothing to draw: no voxel has a T2*")
    vmax = round_up(1000 * robust_range(t2star_s[inside], high=90)[1])
    shown = Layer(np.where(inside, 1000 * t2star_s, np.nan), affine, "viridis", 0, vmax)
    rows = three_views(inside, affine, [anatomy_layer(combined, affine, inside)], n_slices)[:1]
    rows += three_views(inside, affine, [shown], n_slices)
    times = ", ".join(f"{1000 * te:.1f}" for te in te_s)
    figure, _ = row_figure(
        rows,
        box=bounding_box(inside, affine),
        title=title,
        subtitle=f"First row: echoes combined. Echo times {times} ms; "
        f"median T2* {1000 * np.median(t2star_s[inside]):.1f} ms",
        shared_bar=(shown, "T2* (ms)"),
    )
    return figure
