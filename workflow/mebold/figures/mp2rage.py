"""Figure of an MP2RAGE: its combined image before and after its background is darkened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import row_figure, same_grid
from mebold.figures.slices import Contour, Layer, Row, bounding_box, spread
from mebold.figures.style import ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cleaning(
    unit: np.ndarray,
    image: np.ndarray,
    affine: np.ndarray,
    *,
    head: np.ndarray,
    title: str,
    text: str,
    n_slices: int = 5,
) -> Figure:
    """Draw the combined image, and the same without its background, in two views.

    Parameters
    ----------
    unit : (x, y, z) array
        As stored, -0.5 to 0.5.
    image : (x, y, z) array
        Cleaned, 0 to 1.
    affine : (4, 4) array
        Grid of both.
    head : (x, y, z) bool array
    title, text : str
        First line, and what was done.
    n_slices : int

    Returns
    -------
    Figure
    """
    same_grid("the cleaned image", image, unit)
    outline = [Contour(head, affine, ORANGE, 0.8)]
    rows = []
    for axis in (2, 0):
        positions = spread(head, affine, axis=axis, n=n_slices)
        for label, data, lines in (
            ("as stored", unit + 0.5, []),
            ("cleaned", image, outline),
        ):
            layer = Layer(data, affine, "gray", 0.0, 1.0, order=1)
            rows.append(Row(axis, positions, [layer], lines, label))
    box = bounding_box(np.ones(unit.shape, bool), affine, margin_mm=0)
    figure, _ = row_figure(rows, box=box, title=title, subtitle=f"Orange: head. {text}")
    return figure
