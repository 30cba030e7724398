"""Frames of one place, to be shown by turns: what moves between them is what a stage moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mebold.anat import labels
from mebold.figures.rows import VIEW_NAMES, anatomy_layer, row_figure
from mebold.figures.slices import Contour, Row, bounding_box, spread
from mebold.figures.style import ORANGE, SKY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def frames(
    images: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    mask: np.ndarray,
    affine: np.ndarray,
    dseg: np.ndarray | None = None,
    n_slices: int = 5,
    title: str = "",
) -> dict[str, Figure]:
    """Draw images in the same slices under the same outlines of the anatomy.

    Parameters
    ----------
    images : mapping of str to (volume, affine)
        Name of the frame to its image, each in the frame of the anatomy: an image that an
        alignment `matrix` brings there has the affine ``inv(matrix) @ affine``.
    mask : (x, y, z) array
        Brain of the anatomy: outlined (orange).
    affine : (4, 4) array
        Grid of `mask` and `dseg`.
    dseg : (x, y, z) array, optional
        Tissue classes of the anatomy (`mebold.anat.labels`): white matter is outlined (blue).
    n_slices : int
        Slices per view.
    title : str
        Of every frame; the name of the frame stands below.

    Returns
    -------
    dict of str to Figure
        Of equal size, so that the frames cover each other.
    """
    mask = np.asarray(mask) > 0
    lines = [Contour(mask, affine, ORANGE, 0.8)]
    if dseg is not None:
        lines.append(Contour(np.round(dseg) == labels.WM, affine, SKY, 0.5))
    places = {axis: spread(mask, affine, axis=axis, n=n_slices) for axis in (2, 0)}
    box = bounding_box(mask, affine, margin_mm=12)
    found = {}
    for name, (volume, grid) in images.items():
        layer = anatomy_layer(volume, grid, black=0.0)
        rows = [
            Row(axis, where, [layer], contours=lines, label=VIEW_NAMES[axis])
            for axis, where in places.items()
        ]
        found[name], _ = row_figure(rows, box=box, title=title, subtitle=name)
    return found
