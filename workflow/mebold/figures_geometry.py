"""Figures of alignment: distortion before and after, BOLD edges on the T1w image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.figures_maps import anatomy_layer, three_views
from mebold.figures_rows import row_figure
from mebold.figures_slices import Contour, Layer, Row, bounding_box, spread
from mebold.figures_style import ORANGE, SKY

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure


def _one_colour(colour: str) -> ListedColormap:
    """Return a colour map of a single colour, for edges."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def distortion(
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    *,
    outlines: list[tuple[np.ndarray, np.ndarray]],
    mask: np.ndarray,
    mask_affine: np.ndarray,
    field_hz: np.ndarray | None = None,
    n_slices: int = 5,
    title: str = "Distortion correction",
    subtitle: str = "",
) -> Figure:
    """Draw the reference image before and after distortion correction under anatomical outlines.

    Parameters
    ----------
    before, after : (x, y, z) array
        Reference image in the frame of the T1w image, aligned, without and with the correction.
    affine : (4, 4) array
        Their grid.
    outlines : list of (mask, affine)
        Masks from the T1w image to outline: first the brain (orange), then white matter (blue).
    mask : (x, y, z) array
        Brain, for choice of slices and limits.
    mask_affine : (4, 4) array
        Its grid.
    field_hz : (x, y, z) array, optional
        Field on the grid of ``before``, drawn as a third row.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
        Axial rows before, after (and field), then sagittal rows before and after.
    """
    lines = [
        Contour(m, a, c, w)
        for (m, a), (c, w) in zip(outlines, ((ORANGE, 0.8), (SKY, 0.6)), strict=False)
    ]
    grey = [anatomy_layer(before, affine), anatomy_layer(after, affine)]
    rows = []
    for axis in (2, 0):
        where = spread(mask, mask_affine, axis=axis, n=n_slices)
        rows += [
            Row(axis, where, [layer], contours=lines, label=name)
            for layer, name in zip(grey, ("before", "after"), strict=True)
        ]
        if axis == 2 and field_hz is not None:
            limit = float(np.nanpercentile(np.abs(field_hz), 99)) or 1.0
            layer = Layer(field_hz, affine, "RdBu_r", -limit, limit)
            rows.append(
                Row(axis, where, [layer], contours=lines[:1], label="field", bar=(layer, "Hz"))
            )
    figure, _ = row_figure(
        rows,
        box=bounding_box(mask, mask_affine, margin_mm=12),
        title=title,
        subtitle=subtitle or "Lines come from the T1w image: brain (orange), white matter (blue)",
    )
    return figure


def registration(
    boldref: np.ndarray,
    affine: np.ndarray,
    *,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
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
        Reference image in the frame of the T1w image.
    affine : (4, 4) array
        Its grid.
    t1w, t1w_affine
        Anatomy and its grid.
    mask : (x, y, z) array
        Brain on the grid of ``boldref``.
    edge_mm : float
        Scale of the edges in mm.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
    """
    mask = np.asarray(mask) > 0
    edges = anatomy_layer(boldref, affine, mask)
    edges = Layer(boldref, affine, _one_colour(ORANGE), 0, edges.vmax, order=1, edges=edge_mm)
    figure, _ = row_figure(
        three_views(mask, affine, [anatomy_layer(t1w, t1w_affine), edges], n_slices),
        box=bounding_box(mask, affine, margin_mm=12),
        title=title,
        subtitle=subtitle or "Orange: edges of the BOLD reference on the T1w image",
    )
    return figure
