"""Figure of a localizer: the z map of every contrast on the T1w."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mebold.figures.rows import anatomy_layer, robust_range, round_up, row_figure, warm_map
from mebold.figures.slices import Layer, Row, bounding_box, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST = 3.1  # z: p = 0.001 one-sided


def contrast_rows(
    z: Mapping[str, np.ndarray],
    affine: np.ndarray,
    *,
    titles: Mapping[str, str],
    mask: np.ndarray,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    title: str,
    n_slices: int = 7,
) -> Figure:
    """Draw a row of axial slices per contrast, all with one range of colours.

    Parameters
    ----------
    z : mapping of str to (x, y, z) array
        Contrast to its map; NaN where nothing is known.
    affine : (4, 4) array
        Its grid.
    titles : mapping of str to str
        What each contrast is.
    mask : (x, y, z) bool array
        Brain on the grid of the maps.
    t1w, t1w_affine
        Anatomy and its grid.
    title : str
    n_slices : int

    Returns
    -------
    Figure
    """
    mask = np.asarray(mask) > 0
    known = np.concatenate([values[mask] for values in z.values()] or [np.zeros(1)])
    top = max(round_up(robust_range(known, high=99.8)[1]), 2 * _LEAST)
    anatomy = anatomy_layer(t1w, t1w_affine)
    some = np.any([np.nan_to_num(values) > _LEAST for values in z.values()], axis=0)
    focus = some & mask if np.any(some & mask) else mask
    places = spread(focus, affine, axis=2, n=n_slices)
    shown = {
        name: Layer(np.where(mask, values, np.nan), affine, warm_map(), _LEAST, top, below=_LEAST)
        for name, values in z.items()
    }
    rows = [Row(2, places, [anatomy, layer], label=name) for name, layer in shown.items()]
    if not rows:
        rows = [Row(2, places, [anatomy], label="no contrast")]
    bar = (next(iter(shown.values())), "z") if shown else None
    said = "\n".join([f"z above {_LEAST:g}, all runs together", *titles.values()])
    figure, _ = row_figure(
        rows, box=bounding_box(mask, affine), title=title, subtitle=said, shared_bar=bar
    )
    return figure
