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
    residual_sd: np.ndarray,
    gfactor: np.ndarray,
    components_removed: np.ndarray,
    tsnr_ratio: np.ndarray,
    mask: np.ndarray,
    residual: np.ndarray | None = None,
    n_slices: int = 6,
    title: str = "NORDIC",
    subtitle: str = "",
) -> Figure:
    """Draw one volume before and after NORDIC, what was removed, and the maps behind it.

    Parameters
    ----------
    before, after : (x, y, z) array
        The same volume, signal units.
    affine : (4, 4) array
        Grid of all images, as acquired; slices are drawn along the acquired axes.
    residual_sd : (x, y, z) array
        Standard deviation over time of what was removed, signal units.
    gfactor : (x, y, z) array
        Noise standard deviation, signal units.
    components_removed : (x, y, z) array
        Mean number of components removed.
    tsnr_ratio : (x, y, z) array
        tSNR after over before.
    mask : (x, y, z) array
        Brain, for ranges and limits.
    residual : (x, y, z) array, optional
        What was removed from that volume; default ``before - after``.
    n_slices : int
    title, subtitle : str

    Returns
    -------
    Figure
        Seven rows of axial (third acquired axis) slices. The residual should look like noise.
    """
    residual = np.asarray(before, np.float32) - after if residual is None else residual
    mask = np.asarray(mask) > 0
    images = {
        "before": before, "after": after, "residual": residual, "residual SD": residual_sd,
        "g-factor": gfactor, "components": components_removed, "tSNR ratio": tsnr_ratio,
    }  # fmt: skip
    for name, volume in images.items():
        if np.shape(volume) != mask.shape:
            raise GridMismatchError(f"{name} has {np.shape(volume)} voxels, the mask {mask.shape}")
    grid = straight(affine)
    signal = (0.0, 1.1 * robust_range(before[mask], high=99)[1])
    noise = float(np.percentile(np.abs(residual[mask]), 99)) or 1.0
    sd = (0.0, robust_range(residual_sd[mask], high=99)[1])
    ratio = round_up(max(robust_range(tsnr_ratio[mask])[1], 1.5))
    styles = {
        "before": ("gray", *signal, "signal"),
        "after": ("gray", *signal, "signal"),
        "residual": ("gray", -noise, noise, "signal"),
        "residual SD": ("viridis", *sd, "signal"),
        "g-factor": ("viridis", *_positive(gfactor, mask), "signal"),
        "components": ("cividis", *robust_range(components_removed[mask]), "number"),
        "tSNR ratio": ("viridis", 0.0, ratio, "after / before"),
    }
    box = bounding_box(mask, grid)
    axis = int(np.argmax(np.abs(grid[:3, 2])))
    where = _slice_centres(grid, axis, spread(mask, grid, axis=axis, n=n_slices))
    rows = []
    for name, (cmap, low, high, unit) in styles.items():
        layer = Layer(images[name], grid, cmap, low, high)
        rows.append(Row(axis, where, [layer], label=name, bar=(layer, unit)))
    note = (
        f"Median tSNR ratio in the mask {np.median(tsnr_ratio[mask]):.2f}; "
        "look for anatomy in the residual rows: there should be none"
    )
    figure, _ = row_figure(
        rows, box=box, title=title, subtitle=f"{subtitle}\n{note}" if subtitle else note
    )
    return figure


def _positive(volume: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Return a colour range from 0 over the mask."""
    return 0.0, robust_range(volume[mask], high=99)[1]


def _slice_centres(affine: np.ndarray, axis: int, positions: np.ndarray) -> np.ndarray:
    """Move positions to the centres of acquired slices."""
    voxel_axis = int(np.argmax(np.abs(affine[axis, :3])))
    step, origin = affine[axis, voxel_axis], affine[axis, 3]
    return origin + step * np.round((positions - origin) / step)
