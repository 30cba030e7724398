"""Figure of what NORDIC took out of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import GridMismatchError
from mebold.figures.rows import robust_range, round_up, row_figure
from mebold.figures.slices import Layer, Row, bounding_box, spread, straight

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches. Half of what a run adds to the pages are pictures of noise, which no format makes small.
_WIDTH = 5.6


def nordic_qc(
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    *,
    gfactor: np.ndarray,
    residual_sd: np.ndarray,
    components_removed: np.ndarray,
    mask: np.ndarray | None = None,
    n_slices: int = 6,
    title: str = "NORDIC",
    subtitle: str = "",
) -> Figure:
    """Draw one volume before and after NORDIC, what was removed, and the maps behind it.

    Parameters
    ----------
    before, after : (x, y, z, t) array
        Magnitude series of the same volumes, signal units.
    affine : (4, 4) array
        Grid of all images, as acquired; slices are drawn along the acquired axes.
    gfactor : (x, y, z) array
        Noise standard deviation, signal units.
    residual_sd : (x, y, z) array
        Standard deviation over time of what was removed from the complex series, signal units.
    components_removed : (x, y, z) array
        Mean number of components removed.
    mask : (x, y, z) array, optional
        Head, for ranges and limits; default: voxels above a quarter of the bright signal. In the
        air, where magnitudes have a floor, differences of magnitudes and tSNR are not drawn.
    n_slices : int
    title : str
    subtitle : str
        Lines are broken to the width of the figure.

    Returns
    -------
    Figure
        Seven rows of slices across the third acquired axis: the middle volume before, after, and
        removed; standard deviation over time of what was removed and g-factor, in one range;
        components; ratio of tSNR after and before. The removed part should look like noise.
    """
    for name, volume in (
        ("the series after", after),
        ("g-factor", gfactor),
        ("the residual", residual_sd),
        ("components", components_removed),
    ):
        if np.shape(volume)[:3] != (shape := np.shape(before)[:3]):
            raise GridMismatchError(
                f"{name} has {np.shape(volume)[:3]} voxels, the series before has {shape}"
            )
    mean, tsnr_ratio = _over_time(before, after)
    mask = mean > 0.25 * np.percentile(mean, 98) if mask is None else np.asarray(mask) > 0
    middle = before.shape[3] // 2
    first, last = before[..., middle], after[..., middle]
    removed = np.asarray(first, np.float32) - last
    signal = (0.0, 1.1 * robust_range(first[mask], high=99)[1])
    noise = float(np.percentile(np.abs(removed[mask]), 99)) or 1.0
    level = robust_range(np.concatenate([residual_sd[mask], gfactor[mask]]), high=99)
    ratio = round_up(max(robust_range(tsnr_ratio[mask])[1], 1.5))
    panels = {
        "before": (first, "gray", *signal, "signal"),
        "after": (last, "gray", *signal, "signal"),
        "removed": (np.where(mask, removed, np.nan), "gray", -noise, noise, "signal"),
        "removed SD": (residual_sd, "viridis", *level, "signal"),
        "g-factor": (gfactor, "viridis", *level, "signal"),
        "components": (
            components_removed,
            "cividis",
            *robust_range(components_removed[mask]),
            "number",
        ),
        "tSNR ratio": (
            np.where(mask, tsnr_ratio, np.nan),
            "viridis",
            0.0,
            ratio,
            "after / before",
        ),
    }
    grid = straight(affine)
    axis = int(np.argmax(np.abs(grid[:3, 2])))
    where = _slice_centres(grid, axis, spread(mask, grid, axis=axis, n=n_slices))
    rows = []
    for name, (volume, cmap, low, high, unit) in panels.items():
        layer = Layer(volume, grid, cmap, low, high)
        rows.append(Row(axis, where, [layer], label=name, bar=(layer, unit)))
    note = (
        f"Median tSNR ratio in the head {np.median(tsnr_ratio[mask]):.2f}. Anatomy in the two "
        "removed rows would be lost signal."
    )
    figure, _ = row_figure(
        rows,
        width=_WIDTH,
        box=bounding_box(mask, grid, margin_mm=8),
        title=title,
        subtitle=f"{subtitle}\n{note}" if subtitle else note,
    )
    return figure


def weakest_response(
    shared: np.ndarray,
    images: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    n_slices: int = 6,
    title: str = "What can survive NORDIC",
    subtitle: str = "",
) -> Figure:
    """Draw the weakest response that survives NORDIC.

    Parameters
    ----------
    shared, images : (x, y, z) array
        Response that all trials share, and differences between trials, percent of the signal.
    affine : (4, 4) array
        Grid as acquired; slices are drawn along the acquired axes.
    mask : (x, y, z) array
        Head.
    n_slices : int
    title, subtitle : str
        Lines are broken to the width of the figure.

    Returns
    -------
    Figure
        Two rows of slices across the third acquired axis, each with its own range.
    """
    grid, mask = straight(affine), np.asarray(mask) > 0
    axis = int(np.argmax(np.abs(grid[:3, 2])))
    where = _slice_centres(grid, axis, spread(mask, grid, axis=axis, n=n_slices))
    rows = []
    for label, volume, unit in (("shared", shared, "%"), ("differences", images, "% (SD)")):
        inside = volume[mask & np.isfinite(volume)]
        top = round_up(robust_range(inside, high=95)[1] if inside.size else 1.0)
        shown = np.where(mask, volume, np.nan)
        layer = Layer(shown, grid, "viridis", 0.0, top)
        rows.append(Row(axis, where, [layer], label=label, bar=(layer, unit)))
    box = bounding_box(mask, grid, margin_mm=8)
    figure, _ = row_figure(rows, box=box, title=title, subtitle=subtitle)
    return figure


def _over_time(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean signal and tSNR ratio, slab by slab."""
    shape = before.shape[:3]
    mean, ratio = (np.zeros(shape, np.float32) for _ in range(2))
    for z in range(shape[2]):
        a, b = np.asarray(before[:, :, z], np.float32), np.asarray(after[:, :, z], np.float32)
        mean[:, :, z] = a.mean(-1)
        numerator, denominator = b.mean(-1) * a.std(-1), a.mean(-1) * b.std(-1)
        usable = denominator > 0
        ratio[:, :, z] = np.where(usable, numerator / np.where(usable, denominator, 1), 0)
    return mean, ratio


def _slice_centres(affine: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Move positions to the centres of acquired slices."""
    voxel_axis = int(np.argmax(np.abs(affine[axis, :3])))
    step, origin = affine[axis, voxel_axis], affine[axis, 3]
    return origin + step * np.round((positions - origin) / step)
