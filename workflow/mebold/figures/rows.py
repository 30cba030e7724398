"""Rows of slices with overlays, outlines and colour bars as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.figures.slices import VIEWS, Contour, Layer, Row, plane_image, spread
from mebold.figures.style import WIDTH, new_figure, style
from mebold.geometry import affines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, ListedColormap
    from matplotlib.figure import Figure

_LINE = 100  # characters of a subtitle
# Inches: row labels, colour bar with its label, space between slices, line of coordinates.
_MARGIN_LEFT, _COLUMN_BAR, _GAP, _TITLE_ROW = 0.32, 0.8, 0.04, 0.18


def draw_plane(
    axes: Axes, row: Row, position: float, *, box: np.ndarray, step: float, letters: bool
) -> None:
    """Draw the layers and contours of a row at one position."""
    from matplotlib.patheffects import Normal, Stroke

    horizontal, vertical, left, right = VIEWS[row.axis]
    extent = [*box[horizontal], *box[vertical]]
    axes.set_facecolor("black")
    for layer in row.layers:
        size = min(step, 1.0) if layer.edges else step
        image = plane_image(
            layer.data,
            layer.affine,
            axis=row.axis,
            position=position,
            box=box,
            step=size,
            order=layer.order,
        )
        if layer.edges:
            image = _edges(image, layer.edges / size, (layer.vmin, layer.vmax))
        hidden = ~np.isfinite(image)
        if layer.below is not None:
            hidden |= image <= layer.below
        if layer.above is not None:
            hidden |= image > layer.above
        axes.imshow(
            np.ma.masked_array(image, hidden),
            origin="lower",
            extent=extent,
            cmap=layer.cmap,
            vmin=0 if layer.edges else layer.vmin,
            vmax=1 if layer.edges else layer.vmax,
            alpha=layer.alpha,
            interpolation="nearest",
        )
    for contour in row.contours:
        _draw_contour(axes, contour, row.axis, position, box, step)
    axes.set(xlim=box[horizontal], ylim=box[vertical], xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(f"{'xyz'[row.axis]} = {position:.0f} mm", fontsize=6.5, pad=2.5)
    if letters:
        for x, letter in ((0.03, left), (0.97, right)):
            align = "left" if x < 0.5 else "right"
            halo = [Stroke(linewidth=1.5, foreground="black"), Normal()]
            axes.text(
                x, 0.03, letter, color="white", fontsize=7, ha=align, va="bottom",
                transform=axes.transAxes, path_effects=halo,
            )  # fmt: skip


def _draw_contour(
    axes: Axes, contour: Contour, axis: int, position: float, box: np.ndarray, step: float
) -> None:
    """Draw the outline of a mask where the plane meets it."""
    image = plane_image(
        np.asarray(contour.mask, np.float32),
        contour.affine,
        axis=axis,
        position=position,
        box=box,
        step=step,
        order=1,
    )
    image = np.nan_to_num(image)
    if image.min() < 0.5 < image.max():
        horizontal, vertical = VIEWS[axis][:2]
        x = box[horizontal, 0] + step * (np.arange(image.shape[1]) + 0.5)
        y = box[vertical, 0] + step * (np.arange(image.shape[0]) + 0.5)
        axes.contour(x, y, image, levels=[0.5], colors=[contour.colour], linewidths=contour.width)


def _edges(image: np.ndarray, sigma: float, window: tuple[float, float]) -> np.ndarray:
    """Find edges of an image scaled by its window; NaN where there is none."""
    from skimage.feature import canny

    scaled = np.clip((np.nan_to_num(image) - window[0]) / (window[1] - window[0]), 0, 1)
    found = canny(scaled, sigma=sigma, low_threshold=0.04, high_threshold=0.1)
    return np.where(found, 1.0, np.nan)


def row_figure(
    rows: Sequence[Row],
    *,
    box: np.ndarray,
    title: str,
    subtitle: str = "",
    shared_bar: tuple[Layer, str] | None = None,
    extra_inches: float = 0.0,
    width: float = WIDTH,
    max_height: float = 9.5,
) -> tuple[Figure, tuple[float, float]]:
    """Draw rows of slices, each with its own or one shared colour bar.

    Parameters
    ----------
    rows : sequence of Row
    box : (3, 2) array
        World limits that all rows show, mm.
    title, subtitle : str
        Bold line and plain lines at the top; long ones are broken.
    shared_bar : (Layer, label), optional
        One colour bar for all rows; otherwise each row may have its own.
    extra_inches : float
        Space to keep free at the foot, for a plot.
    width : float
        Inches.
    max_height : float
        Slices shrink when the rows would be higher than this, inches.

    Returns
    -------
    figure : Figure
    foot : (bottom, top) float
        Limits of the free space at the foot, figure fraction.
    """
    has_bar = shared_bar is not None or any(r.bar for r in rows)
    left = _MARGIN_LEFT if any(r.label for r in rows) else 0.08
    right = _COLUMN_BAR if has_bar else 0.08
    lines = [part for line in subtitle.splitlines() for part in wrap(line, _LINE)]
    subtitle = "\n".join(lines)
    head = 0.34 + 0.16 * bool(subtitle) + 0.14 * subtitle.count("\n")
    ratios = [np.ptp(box[VIEWS[r.axis][1]]) / np.ptp(box[VIEWS[r.axis][0]]) for r in rows]
    cell = [(width - left - right) / len(r.positions) for r in rows]
    wanted = sum((c - _GAP) * q for c, q in zip(cell, ratios, strict=True))
    free = max_height - head - extra_inches - len(rows) * (_TITLE_ROW + _GAP)
    shrink = min(1.0, free / wanted)
    across = max(c * len(r.positions) for c, r in zip(cell, rows, strict=True))
    width = round((left + right + across * shrink) * 150) / 150
    height = head + extra_inches + wanted * shrink + len(rows) * (_TITLE_ROW + _GAP) + 0.05
    height = round(height * 150) / 150
    step = min(float(affines.voxel_sizes(la.affine).min()) for r in rows for la in r.layers)
    step = max(step, 0.5)
    with style():
        figure = new_figure(width, height)
        figure.text(left / width, 1 - 0.05 / height, title, va="top", fontweight="bold", fontsize=9)
        if subtitle:
            figure.text(left / width, 1 - 0.24 / height, subtitle, va="top", fontsize=7.5)
        top = height - head
        limits = []
        for row, c, ratio in zip(rows, cell, ratios, strict=True):
            w, h = (c - _GAP) * shrink, (c - _GAP) * ratio * shrink
            bottom = top - _TITLE_ROW - h
            for i, position in enumerate(row.positions):
                axes = figure.add_axes(_frame(left + i * (w + _GAP), bottom, w, h, width, height))
                draw_plane(axes, row, position, box=box, step=step, letters=i == 0)
            if row.label:
                figure.text(
                    0.12 / width, (bottom + h / 2) / height, row.label, rotation=90, va="center",
                    ha="center", fontsize=7.5,
                )  # fmt: skip
            end = left + len(row.positions) * (w + _GAP)
            if row.bar and shared_bar is None:
                _bar(figure, row.bar, (end, bottom, h), row.bar_ticks)
            limits.append((bottom, bottom + h, end))
            top = bottom - _GAP
        if shared_bar is not None:
            low, high, end = limits[-1][0], limits[0][1], max(m[2] for m in limits)
            length = min(high - low, 2.6)
            _bar(figure, shared_bar, (end, (low + high - length) / 2, length), None)
    return figure, (0.0, extra_inches / height)


def _frame(x: float, y: float, w: float, h: float, width: float, height: float) -> list[float]:
    """Place axes (inches) on whole pixels of 1/150 inch, so that images end where frames do."""
    x, y, w, h = (round(v * 150) / 150 for v in (x, y, w, h))
    return [x / width, y / height, w / width, h / height]


def _bar(
    figure: Figure,
    bar: tuple[Layer, str],
    place: tuple[float, float, float],
    ticks: Sequence[float] | None,
) -> None:
    """Draw a colour bar to the right of x, from y upwards over the given length (inches)."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    layer, label = bar
    x, y, length = place
    width, height = figure.get_size_inches()
    frame = [(x + 0.08) / width, (y + 0.06 * length) / height, 0.1 / width, 0.88 * length / height]
    axes = figure.add_axes(frame)
    mappable = ScalarMappable(Normalize(layer.vmin, layer.vmax), layer.cmap)
    drawn = figure.colorbar(mappable, cax=axes, ticks=ticks)
    drawn.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=6.5, length=2, pad=1.5)
    if ticks is None:
        axes.locator_params(axis="y", nbins=5)
    axes.set_ylabel(label, fontsize=7, labelpad=2)


VIEW_NAMES = {2: "axial", 1: "coronal", 0: "sagittal"}


def robust_range(values: np.ndarray, low: float = 2, high: float = 98) -> tuple[float, float]:
    """Return percentiles of the finite values as a colour range that is never empty."""
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise DataError("nothing to draw: the image holds no finite value inside the mask")
    a, b = np.percentile(values, [low, high])
    return float(a), float(b if b > a else a + max(abs(a), 1) * 1e-3)


def round_up(value: float) -> float:
    """Round up to a number with one or two digits, for ends of colour ranges."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])
    return float(power * steps[np.searchsorted(steps, value / power * (1 - 1e-9))])


def warm_map() -> Colormap:
    """Return inferno without its dark end, so that low values stay visible on an anatomy."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    colours = mpl.colormaps["inferno"](np.linspace(0.28, 1, 256))
    return ListedColormap(colours, name="inferno_bright")


def anatomy_layer(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    black: float = 0.03,
) -> Layer:
    """Return the grey background of a figure.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
    mask : (x, y, z) array, optional
        Where the white end of the range is taken from; default: all that is above 0.
    black : float
        Share of the white end up to which all is black: noise in the air says nothing beside an
        anatomy, and is a fifth of the file. 0 for BOLD, whose ghosts should be seen.
    """
    inside = volume[mask > 0] if mask is not None and mask.shape == volume.shape else volume
    inside = inside[inside > 0] if (inside > 0).any() else inside
    high = 1.15 * robust_range(inside, high=99)[1]
    return Layer(volume, affine, cmap="gray", vmin=black * high, vmax=high, order=1)


def three_views(
    mask: np.ndarray, affine: np.ndarray, layers: list[Layer], n: int, **row: object
) -> list[Row]:
    """Return an axial, a coronal and a sagittal row through a mask."""
    return [
        Row(axis, spread(mask, affine, axis=axis, n=n), layers, label=VIEW_NAMES[axis], **row)
        for axis in (2, 1, 0)
    ]


def same_grid(name: str, volume: np.ndarray, mask: np.ndarray) -> None:
    """Refuse a map and a mask of different shapes."""
    if np.shape(volume) != np.shape(mask):
        raise GridMismatchError(f"{name} has {np.shape(volume)} voxels, its mask {np.shape(mask)}")


def one_colour(colour: str) -> ListedColormap:
    """Return a colour map of a single colour, for edges."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
