"""Figures of maps in slices: tSNR, T2*, response index, ridge fraction, tissue classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.figures_rows import row_figure
from mebold.figures_slices import Contour, Layer, Row, bounding_box, spread
from mebold.figures_style import BLUE, ORANGE, PURPLE, SKY, style

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

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


def anatomy_layer(volume: np.ndarray, affine: np.ndarray, mask: np.ndarray | None = None) -> Layer:
    """Return the grey background of a figure."""
    inside = volume[mask > 0] if mask is not None and mask.shape == volume.shape else volume
    inside = inside[inside > 0] if (inside > 0).any() else inside
    high = robust_range(inside, high=99)[1]
    return Layer(volume, affine, cmap="gray", vmin=0, vmax=1.15 * high, order=1)


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


def tsnr(
    ratio: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    vmax: float | None = None,
    n_slices: int = 6,
    title: str = "Temporal signal-to-noise ratio",
) -> Figure:
    """Draw a tSNR map in three views.

    Parameters
    ----------
    ratio : (x, y, z) array
        tSNR, 0 outside.
    affine : (4, 4) array
    mask : (x, y, z) array
        Brain.
    vmax : float, optional
        Upper end of the colours; default the 98th percentile, rounded up.
    n_slices : int
        Slices per view.
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the tSNR map", ratio, mask)
    mask = np.asarray(mask) > 0
    vmax = vmax or round_up(robust_range(ratio[mask])[1])
    shown = Layer(np.where(mask, ratio, np.nan), affine, "viridis", 0, vmax)
    figure, _ = row_figure(
        three_views(mask, affine, [shown], n_slices),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Mean over standard deviation after drift removal; median in mask "
        f"{np.median(ratio[mask]):.1f}",
        shared_bar=(shown, "tSNR"),
    )
    return figure


def t2star(
    seconds: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    vmax_ms: float | None = None,
    n_slices: int = 6,
    title: str = "T2*",
) -> Figure:
    """Draw a T2* map with its histogram.

    Parameters
    ----------
    seconds : (x, y, z) array
        T2* in seconds, 0 where not fitted.
    affine : (4, 4) array
    mask : (x, y, z) array
        Brain.
    vmax_ms : float, optional
        Upper end of colours and histogram in ms; default the 98th percentile, rounded up.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the T2* map", seconds, mask)
    mask = (np.asarray(mask) > 0) & np.isfinite(seconds)
    values = 1000 * seconds[mask]
    fitted = values[values > 0]
    if fitted.size == 0:
        raise DataError("nothing to draw: no voxel of the mask has a T2* above 0")
    vmax_ms = vmax_ms or round_up(robust_range(fitted)[1])
    shown = Layer(np.where(mask, 1000 * seconds, np.nan), affine, "inferno", 0, vmax_ms)
    extra = 1.75
    figure, (_, top) = row_figure(
        three_views(mask, affine, [shown], n_slices),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Median {np.median(fitted):.1f} ms; {100 * np.mean(values <= 0):.1f} % of the "
        f"mask not fitted; {100 * np.mean(fitted > vmax_ms):.1f} % above {vmax_ms:g} ms",
        shared_bar=(shown, "T2* (ms)"),
        extra_inches=extra,
        max_height=8.5,
    )
    with style():
        axes = figure.add_axes([0.1, 0.25 * top, 0.78, 0.62 * top])
        axes.hist(np.minimum(fitted, vmax_ms), bins=80, range=(0, vmax_ms), color=BLUE, lw=0)
        axes.axvline(np.median(fitted), color=ORANGE, lw=1.2, label="median")
        axes.set(xlabel="T2* (ms); the last bin holds everything above", ylabel="Voxels")
        axes.set_xlim(0, vmax_ms)
        axes.legend(loc="upper left")
    return figure


def model_maps(
    hrf_index: np.ndarray,
    fraction: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray,
    r2: np.ndarray | None = None,
    n_hrf: int = 20,
    n_slices: int = 6,
    title: str = "Single-trial model",
) -> Figure:
    """Draw which response function and how much ridge each voxel was given.

    Parameters
    ----------
    hrf_index : (x, y, z) array
        Index into the library, 0 .. ``n_hrf - 1``.
    fraction : (x, y, z) array
        Ridge fraction, above 0 to 1 (1 = no shrinkage).
    affine : (4, 4) array
    mask : (x, y, z) array
        Voxels of the model.
    r2 : (x, y, z) array, optional
        Variance explained in percent, a third row.
    n_hrf : int
        Size of the library.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    import matplotlib as mpl

    mask = np.asarray(mask) > 0
    positions = spread(mask, affine, axis=2, n=n_slices)
    steps = mpl.colormaps["viridis"].resampled(n_hrf)
    rows = []
    for volume, cmap, low, high, label, bar, ticks in (
        (hrf_index, steps, -0.5, n_hrf - 0.5, "HRF", "Response index", range(0, n_hrf, 5)),
        (fraction, "cividis", 0, 1, "ridge", "Ridge fraction", None),
        (r2, "magma", 0, None, "R²", "Variance explained (%)", None),
    ):
        if volume is None:
            continue
        same_grid(f"the map of {bar.lower()}", volume, mask)
        high = round_up(robust_range(volume[mask], high=99)[1]) if high is None else high
        layer = Layer(np.where(mask, volume, np.nan), affine, cmap, low, high)
        rows.append(Row(2, positions, [layer], label=label, bar=(layer, bar), bar_ticks=ticks))
    figure, _ = row_figure(
        rows,
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"Median ridge fraction {np.nanmedian(fraction[mask]):.2f} (1 = no shrinkage)",
    )
    return figure


def segmentation(
    t1w: np.ndarray,
    affine: np.ndarray,
    *,
    dseg: np.ndarray,
    brain_mask: np.ndarray,
    n_slices: int = 6,
    title: str = "Tissue classes and brain mask",
) -> Figure:
    """Draw tissue classes and the outline of the brain mask on the T1w image.

    Parameters
    ----------
    t1w : (x, y, z) array
    affine : (4, 4) array
        Grid of all three images.
    dseg : (x, y, z) array
        1 CSF, 2 grey matter, 3 white matter.
    brain_mask : (x, y, z) array
    n_slices : int
    title : str

    Returns
    -------
    Figure
        Lines on the T1w image: mask orange, border of white matter blue, border of CSF pink.
    """
    for name, volume in (("the tissue image", dseg), ("the T1w image", t1w)):
        same_grid(name, volume, brain_mask)
    outlines = [
        Contour(dseg == 3, affine, SKY, 0.6),
        Contour(dseg == 1, affine, PURPLE, 0.5),
        Contour(brain_mask, affine, ORANGE, 0.9),
    ]
    voxel_ml = abs(np.linalg.det(np.asarray(affine)[:3, :3])) / 1000
    volumes = ", ".join(
        f"{name} {np.sum(dseg == value) * voxel_ml:.0f} ml"
        for value, name in ((1, "CSF"), (2, "grey"), (3, "white"))
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
        title=title,
        subtitle="Orange: brain mask; blue: border of white matter; pink: border of CSF\n"
        + volumes,
    )
    return figure
