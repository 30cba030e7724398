"""Figure of what NORDIC took out of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import GridMismatchError
from mebold.figures_maps import robust_range, round_up
from mebold.figures_rows import row_figure
from mebold.figures_slices import Layer, Row, bounding_box, spread, straight

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def nordic_qc(
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    *,
    gfactor: np.ndarray,
    components: np.ndarray,
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
    components : (x, y, z) array
        Mean number of components removed.
    mask : (x, y, z) array, optional
        Brain, for ranges and limits; default: voxels above a quarter of the bright signal.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
        Seven rows of slices across the third acquired axis: the middle volume before, after, and
        removed; standard deviation over time of what was removed; g-factor; components; ratio of
        tSNR after and before. The removed part should look like noise.
    """
    for name, volume in (
        ("the series after", after),
        ("g-factor", gfactor),
        ("components", components),
    ):
        if np.shape(volume)[:3] != (shape := np.shape(before)[:3]):
            raise GridMismatchError(
                f"{name} has {np.shape(volume)[:3]} voxels, the series before has {shape}"
            )
    mean, removed_sd, tsnr_ratio = _over_time(before, after)
    mask = mean > 0.25 * np.percentile(mean, 98) if mask is None else np.asarray(mask) > 0
    middle = before.shape[3] // 2
    first, last = before[..., middle], after[..., middle]
    removed = np.asarray(first, np.float32) - last
    signal = (0.0, 1.1 * robust_range(first[mask], high=99)[1])
    noise = float(np.percentile(np.abs(removed[mask]), 99)) or 1.0
    ratio = round_up(max(robust_range(tsnr_ratio[mask])[1], 1.5))
    panels = {
        "before": (first, "gray", *signal, "signal"),
        "after": (last, "gray", *signal, "signal"),
        "removed": (removed, "gray", -noise, noise, "signal"),
        "removed SD": (removed_sd, "viridis", *_positive(removed_sd, mask), "signal"),
        "g-factor": (gfactor, "viridis", *_positive(gfactor, mask), "signal"),
        "components": (components, "cividis", *robust_range(components[mask]), "number"),
        "tSNR ratio": (tsnr_ratio, "viridis", 0.0, ratio, "after / before"),
    }
    grid = straight(affine)
    axis = int(np.argmax(np.abs(grid[:3, 2])))
    where = _slice_centres(grid, axis, spread(mask, grid, axis=axis, n=n_slices))
    rows = []
    for name, (volume, cmap, low, high, unit) in panels.items():
        layer = Layer(volume, grid, cmap, low, high)
        rows.append(Row(axis, where, [layer], label=name, bar=(layer, unit)))
    note = (
        f"Median tSNR ratio in the brain {np.median(tsnr_ratio[mask]):.2f}; anatomy in the two "
        "removed rows would be lost signal"
    )
    figure, _ = row_figure(
        rows,
        box=bounding_box(mask, grid, margin_mm=8),
        title=title,
        subtitle=f"{subtitle}\n{note}" if subtitle else note,
    )
    return figure


def _over_time(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean signal, SD of what was removed, and tSNR ratio, slab by slab."""
    shape = before.shape[:3]
    mean, removed, ratio = (np.zeros(shape, np.float32) for _ in range(3))
    for z in range(shape[2]):
        a, b = np.asarray(before[:, :, z], np.float32), np.asarray(after[:, :, z], np.float32)
        mean[:, :, z] = a.mean(-1)
        removed[:, :, z] = (a - b).std(-1)
        numerator, denominator = b.mean(-1) * a.std(-1), a.mean(-1) * b.std(-1)
        usable = denominator > 0
        ratio[:, :, z] = np.where(usable, numerator / np.where(usable, denominator, 1), 0)
    return mean, removed, ratio


def _positive(volume: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Return a colour range from 0 over the mask."""
    return 0.0, robust_range(volume[mask], high=99)[1]


def _slice_centres(affine: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Move positions to the centres of acquired slices."""
    voxel_axis = int(np.argmax(np.abs(affine[axis, :3])))
    step, origin = affine[axis, voxel_axis], affine[axis, 3]
    return origin + step * np.round((positions - origin) / step)
