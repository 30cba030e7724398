"""Figures of distortion: before and after, gradient nonlinearity, the field over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import GridMismatchError
from mebold.figures.rows import (
    anatomy_layer,
    robust_range,
    round_up,
    row_figure,
    same_grid,
    three_views,
)
from mebold.figures.slices import Contour, Layer, Row, bounding_box, spread
from mebold.figures.style import BLUE, GREY, ORANGE, SKY, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    grey = [anatomy_layer(v, affine, mask, black=0.0) for v in (before, after)]
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
    grey = [anatomy_layer(v, affine, mask, black=0.0) for v in (before, after)]
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
