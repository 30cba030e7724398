"""Figures of alignment: distortion before and after, BOLD edges on the T1w image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mebold.figures_maps import anatomy_layer, round_up, three_views
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


def _before_after(axis: int, where: np.ndarray, grey: list[Layer], lines: list[Contour]):
    """Return the rows of an image without and with a correction."""
    return [
        Row(axis, where, [layer], contours=lines, label=name)
        for layer, name in zip(grey, ("before", "after"), strict=True)
    ]


def distortion(
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    field_hz: np.ndarray | None = None,
    outlines: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    matrix: np.ndarray | None = None,
    n_slices: int = 5,
    title: str = "Distortion correction",
    subtitle: str = "",
) -> Figure:
    """Draw the reference image before and after distortion correction under anatomical outlines.

    Parameters
    ----------
    before, after : (x, y, z) array
        Reference image without and with the correction.
    affine : (4, 4) array
        Their grid.
    mask : (x, y, z) array
        Brain on that grid, for choice of slices and limits.
    field_hz : (x, y, z) array, optional
        Field on that grid, drawn as a third row; positive is a higher frequency.
    outlines : sequence of (mask, affine)
        Masks to outline: first the brain (orange), then white matter (blue), best taken from the
        T1w image. Without any, the brain mask is outlined.
    matrix : (4, 4) array, optional
        Takes T1w points to points of the reference image; puts all into the frame of the T1w
        image, where ``outlines`` live.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
        Axial rows before, after and field, then sagittal rows before and after.
    """
    affine = np.asarray(affine, float)
    affine = affine if matrix is None else np.linalg.inv(matrix) @ affine
    mask = np.asarray(mask) > 0
    if not subtitle:
        subtitle = "Lines from the T1w image: brain (orange), white matter (blue)"
        if not outlines:
            subtitle = "Orange: brain mask of the reference image"
    lines = [
        Contour(m, a, c, w)
        for (m, a), (c, w) in zip(
            outlines or [(mask, affine)], ((ORANGE, 0.8), (SKY, 0.6)), strict=False
        )
    ]
    grey = [anatomy_layer(v, affine, mask) for v in (before, after)]
    rows = []
    for axis in (2, 0):
        where = spread(mask, affine, axis=axis, n=n_slices)
        rows += _before_after(axis, where, grey, lines)
        if axis == 2 and field_hz is not None:
            field = np.where(mask, field_hz, np.nan)
            limit = round_up(float(np.nanpercentile(np.abs(field), 99)))
            layer = Layer(field, affine, "RdBu_r", -limit, limit)
            rows.append(
                Row(axis, where, [layer], contours=lines[:1], label="field", bar=(layer, "Hz"))
            )
    figure, _ = row_figure(
        rows, box=bounding_box(mask, affine, margin_mm=12), title=title, subtitle=subtitle
    )
    return figure


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
    edges = Layer(boldref, affine, _one_colour(ORANGE), 0, bright, order=1, edges=edge_mm)
    figure, _ = row_figure(
        three_views(mask, t1w_affine, [anatomy_layer(t1w, t1w_affine, mask), edges], n_slices),
        box=bounding_box(mask, t1w_affine, margin_mm=12),
        title=title,
        subtitle=subtitle or "Orange: edges of the BOLD reference on the T1w image",
    )
    return figure


def unwarping(
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    length_mm: np.ndarray,
    n_slices: int = 5,
    title: str = "Gradient nonlinearity",
    subtitle: str = "",
) -> Figure:
    """Draw the reference image before and after the warp, and how far the warp moves.

    Parameters
    ----------
    before, after : (x, y, z) array
        Reference image as acquired and corrected.
    affine : (4, 4) array
        Their grid.
    mask : (x, y, z) array
        Brain on that grid, corrected; it is outlined.
    length_mm : (x, y, z) array
        Length of the displacement of every voxel, mm.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
        Axial rows before, after and displacement, then the same in sagittal slices.
    """
    lines = [Contour(mask, affine, ORANGE, 0.8)]
    grey = [anatomy_layer(v, affine, mask) for v in (before, after)]
    inside = np.where(mask, length_mm, np.nan)
    limit = round_up(float(max(np.nanmax(inside), 0.1)))
    moved = Layer(inside, affine, "viridis", 0.0, limit)
    rows = []
    for axis in (2, 0):
        where = spread(mask, affine, axis=axis, n=n_slices)
        rows += _before_after(axis, where, grey, lines)
        rows.append(Row(axis, where, [moved], label="displacement", bar=(moved, "mm")))
    box = bounding_box(mask, affine, margin_mm=12)
    figure, _ = row_figure(rows, box=box, title=title, subtitle=subtitle)
    return figure
