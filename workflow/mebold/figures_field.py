"""Figure of a field that changes from volume to volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import GridMismatchError
from mebold.figures_maps import robust_range, round_up, same_grid, three_views
from mebold.figures_rows import row_figure
from mebold.figures_slices import Layer, bounding_box
from mebold.figures_style import BLUE, GREY, SKY, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def changing_field(
    change_hz: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    tr: float,
    mm_per_hz: float,
    n_slices: int = 6,
    title: str = "Change of the field",
) -> Figure:
    """Draw where and when the field of a run changes.

    Parameters
    ----------
    change_hz : (x, y, z, t) array
        Change against the mean over the run.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) array
        Brain.
    tr : float
        Interval between volumes in seconds.
    mm_per_hz : float
        Displacement along the phase encoding that 1 Hz causes.
    n_slices : int
    title : str

    Returns
    -------
    Figure
        Standard deviation over time in three views; below, the mean over the brain.

    Raises
    ------
    GridMismatchError
        If field and mask have different shapes.
    """
    if np.ndim(change_hz) != 4:
        raise GridMismatchError(f"the change of the field is {np.shape(change_hz)}, not 4D")
    same_grid("the change of the field", change_hz[..., 0], mask)
    mask = np.asarray(mask) > 0
    values = np.asarray(change_hz[mask], np.float64)
    deviation = np.full(mask.shape, np.nan)
    deviation[mask] = values.std(axis=1)
    mean, across = values.mean(axis=0), values.std(axis=0)
    vmax = round_up(robust_range(deviation[mask])[1])
    rms = float(np.sqrt(np.mean(values**2)))
    shown = Layer(deviation, affine, "viridis", 0, vmax)
    figure, (_, top) = row_figure(
        three_views(mask, affine, [shown], n_slices),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Standard deviation over time; rms in the brain {rms:.2f} Hz, that is "
        f"{rms * abs(mm_per_hz):.3f} mm along the phase encoding",
        shared_bar=(shown, "SD (Hz)"),
        extra_inches=1.75,
        max_height=8.5,
    )
    with style():
        axes = figure.add_axes([0.1, 0.25 * top, 0.78, 0.62 * top])
        time = np.arange(mean.size) * tr
        axes.fill_between(
            time, mean - across, mean + across, color=SKY, alpha=0.4, lw=0, label="SD over voxels"
        )
        axes.plot(time, mean, color=BLUE, lw=1, label="mean of the brain")
        axes.axhline(0, color=GREY, lw=0.5)
        axes.set(xlabel="Time (s)", ylabel="Change (Hz)", xlim=(0, max(time[-1], tr)))
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return figure
