"""Figure of tissue classes and brain mask on the T1w image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import anatomy_layer, row_figure, same_grid, three_views
from mebold.figures.slices import Contour, bounding_box
from mebold.figures.style import ORANGE, PURPLE, SKY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def segmentation(
    t1w: np.ndarray,
    affine: np.ndarray,
    *,
    dseg: np.ndarray,
    brain_mask: np.ndarray,
    n_slices: int = 6,
    name: str = "",
    title: str = "Tissue classes and brain mask",
) -> Figure:
    """Draw tissue classes and the outline of the brain mask on the T1w image.

    Parameters
    ----------
    t1w : (x, y, z) array
    affine : (4, 4) array
        Grid of all three images.
    dseg : (x, y, z) array
        1 grey matter, 2 white matter, 3 CSF.
    brain_mask : (x, y, z) array
    n_slices : int
    name : str
        Subject, and session where there is one.
    title : str

    Returns
    -------
    Figure
        Lines on the T1w image: mask orange, border of white matter blue, border of CSF pink.
    """
    for what, volume in (("the tissue image", dseg), ("the T1w image", t1w)):
        same_grid(what, volume, brain_mask)
    outlines = [
        Contour(dseg == 2, affine, SKY, 0.6),
        Contour(dseg == 3, affine, PURPLE, 0.5),
        Contour(brain_mask, affine, ORANGE, 0.9),
    ]
    voxel_ml = abs(np.linalg.det(np.asarray(affine)[:3, :3])) / 1000
    volumes = ", ".join(
        f"{name} {np.sum(dseg == value) * voxel_ml:.0f} ml"
        for value, name in ((3, "CSF"), (1, "grey"), (2, "white"))
    )
    figure, _ = row_figure(
        three_views(
            brain_mask,
            affine,
            [anatomy_layer(t1w, affine, brain_mask)],
            n_slices,
            contours=outlines,
        ),
        box=bounding_box(brain_mask, affine, margin_mm=12),
        title=f"{title}: {name}" if name else title,
        subtitle="Orange: brain mask; blue: border of white matter; pink: border of CSF\n"
        + volumes,
    )
    return figure
