"""Figures of an alignment with a template: edges before and after, and what it does to volumes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import anatomy_layer, one_colour, row_figure, three_views
from mebold.figures.slices import Layer, bounding_box
from mebold.figures.style import ORANGE, figure_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Seconds that each of the two pictures is shown.
_SHOWN_S = 1.2
_EDGE_MM = 2.5


def edges(
    template: np.ndarray,
    moved: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    title: str,
    subtitle: str,
    n_slices: int = 5,
) -> Figure:
    """Draw the edges of a template on a T1w that was brought to it.

    Parameters
    ----------
    template, moved : (x, y, z) array
        On one grid.
    affine : (4, 4) array
    mask : (x, y, z) bool array
        Brain of the template.
    title, subtitle : str
    n_slices : int

    Returns
    -------
    Figure
    """
    bright = anatomy_layer(template, affine).vmax
    lines = Layer(template, affine, one_colour(ORANGE), 0, bright, order=1, edges=_EDGE_MM)
    figure, _ = row_figure(
        three_views(mask, affine, [anatomy_layer(moved, affine, mask), lines], n_slices),
        box=bounding_box(mask, affine, margin_mm=12),
        title=title,
        subtitle=subtitle,
    )
    return figure


def flicker(before: Figure, after: Figure, *, text: str, dpi: int = 110) -> bytes:
    """Return two figures of one size as an SVG that shows them in turn.

    Parameters
    ----------
    before, after : Figure
    text : str
        What a reader of the file that shows no pictures is told.
    dpi : int

    Returns
    -------
    bytes
        SVG with both pictures inside; where nothing moves, the second is seen.
    """
    width, height = (round(float(size) * dpi) for size in before.get_size_inches())
    pictures = []
    for name, figure in (("before", before), ("after", after)):
        data = base64.b64encode(figure_bytes(figure, dpi=dpi)).decode("ascii")
        pictures.append(
            f'<image id="{name}" width="{width}" height="{height}" '
            f'href="data:image/png;base64,{data}"/>'
        )
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{safe}</title>",
        "<style>@keyframes turn{0%,50%{opacity:0}50.01%,100%{opacity:1}}"
        f"#after{{animation:turn {2 * _SHOWN_S:g}s linear infinite}}"
        "svg:hover #after{animation-play-state:paused}</style>",
        *pictures,
        "</svg>",
    ]
    return "\n".join(lines).encode()


def volume_change(
    jacobian: np.ndarray,
    template: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    title: str,
    subtitle: str = "",
    n_slices: int = 5,
) -> Figure:
    """Draw the Jacobian determinant of an alignment on the template.

    Parameters
    ----------
    jacobian, template : (x, y, z) array
        On one grid.
    affine : (4, 4) array
    mask : (x, y, z) bool array
        Brain of the template.
    title, subtitle : str
    n_slices : int

    Returns
    -------
    Figure
        Logarithm to the base 2: 1 is twice the volume of the template, -1 half of it.
    """
    logs = np.log2(np.maximum(jacobian, 2.0**-3))
    shown = Layer(np.where(mask, logs, np.nan), affine, "RdBu_r", -1.0, 1.0, order=0)
    figure, _ = row_figure(
        three_views(mask, affine, [anatomy_layer(template, affine, mask), shown], n_slices),
        box=bounding_box(mask, affine, margin_mm=8),
        title=title,
        subtitle=subtitle,
        shared_bar=(shown, "log2 of the volume, subject over template"),
    )
    return figure
