"""One look for all figures: sizes, fonts and colours that colour-blind readers can tell apart."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import ConfigError
from mebold.files.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

WIDTH = 7.5  # inches: the text width of a report page
# Every run has a dozen figures, of which noise is the most: a page shows them 735 pixels wide, here
# they have 825. Figures for papers are drawn finer.
DPI, PRINT_DPI = 110, 150
# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
GREY, INK = "#9A9A9A", "#222222"
MARKERS = "osD^vP*X"

# Of PNG: numbers of colours that are tried, and rounds of their refinement. What is not seen: a
# mean error (of 255), and errors above a limit in few pixels, else colour bars have steps.
_COLOURS, _ROUNDS = (64, 96, 128, 160, 192, 256), 4
_NOT_SEEN, _FAR, _FEW = 0.5, 6.0, 0.002

# What would make two equal figures differ as files.
_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "ModDate": None},
}
_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "mebold",
}


@contextmanager
def style() -> Iterator[None]:
    """Set fonts, sizes and lines for the figures made inside the context."""
    import matplotlib as mpl

    with mpl.rc_context(_RC):
        yield


def new_figure(width: float, height: float, *, layout: str | None = None) -> Figure:
    """Return an empty figure that no global state refers to.

    Parameters
    ----------
    width, height : float
        Inches.
    layout : str, optional
        Layout engine of matplotlib, such as ``"constrained"``.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def figure_bytes(figure: Figure, *, kind: str = "png", dpi: int = DPI) -> bytes:
    """Return a figure as the bytes of a file, the same on every call.

    Parameters
    ----------
    figure : Figure
    kind : {"png", "svg", "pdf"}
    dpi : int
        Resolution of PNG and of images inside SVG.

    Returns
    -------
    bytes
    """
    from PIL import Image

    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
    if kind != "png":
        return buffer.getvalue()
    with Image.open(buffer) as image:
        return png_bytes(with_palette(image), dpi=image.info.get("dpi"))


def with_palette(image: Image) -> Image:
    """Return a picture with a palette of its own, of as few colours as look the same.

    Parameters
    ----------
    image : PIL.Image.Image
        Colours; what is transparent is not kept.

    Returns
    -------
    PIL.Image.Image
        Of mode ``P``, with the fewest colours whose error is not seen. Half of them divide what
        is frequent (median cut), half cover all that there is (thin lines are rare); then they
        move to the means of what they stand for (Lloyd 1982).
    """
    from PIL import Image
    from scipy.spatial import cKDTree

    image = image.convert("RGB")
    packed = np.asarray(image, np.uint32) @ np.array([65536, 256, 1], np.uint32)
    values, which, counts = np.unique(packed, return_inverse=True, return_counts=True)
    found = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(float)
    methods = Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE
    for most in _COLOURS:
        palette = np.vstack([_palette(image, most // 2, method) for method in methods])
        for _ in range(_ROUNDS):
            nearest = cKDTree(palette).query(found)[1]
            weight = np.bincount(nearest, counts, len(palette))
            for channel in range(3):
                total = np.bincount(nearest, counts * found[:, channel], len(palette))
                np.divide(total, weight, out=palette[:, channel], where=weight > 0)
        palette = np.round(palette)
        nearest = cKDTree(palette).query(found)[1]
        error = np.abs(palette[nearest] - found)
        far = counts[error.max(axis=1) > _FAR].sum()
        if max(counts @ error.mean(axis=1) / _NOT_SEEN, far / _FEW) <= counts.sum():
            break
    small = Image.fromarray(nearest[which].reshape(packed.shape).astype(np.uint8))
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small


def _palette(image: Image, most: int, method: int) -> np.ndarray:
    """Return colours that Pillow finds, as rows of red, green and blue."""
    found = image.quantize(most, method=method).getpalette()
    return np.reshape(found, (-1, 3))[:most].astype(float)


def png_bytes(image: Image, **info: object) -> bytes:
    """Return a picture as a PNG, as small as it gets."""
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, **info)
    return out.getvalue()


def save(figure: Figure, *paths: str | os.PathLike, dpi: int = DPI) -> None:
    """Write a figure, atomically, in the formats that the file names end in.

    Parameters
    ----------
    figure : Figure
    *paths : path-like
        Files ending in ``.png``, ``.svg`` or ``.pdf``.
    dpi : int
        Resolution of PNG and of images inside SVG.

    Raises
    ------
    ConfigError
        For another ending.
    """
    for path in map(Path, paths):
        kind = path.suffix.lstrip(".")
        if kind not in _METADATA:
            raise ConfigError(f"{path}: figures are written as {', '.join(_METADATA)}")
        with atomic(path) as partial:
            partial.write_bytes(figure_bytes(figure, kind=kind, dpi=dpi))


def panel_letter(axes: Axes, letter: str, *, left: float = -26) -> None:
    """Write the letter of a panel above its upper left corner, `left` points from it."""
    axes.annotate(
        letter, (0, 1), xytext=(left, 4), xycoords="axes fraction", textcoords="offset points",
        fontweight="bold", fontsize=11,
    )  # fmt: skip


def footnote(figure: Figure, text: str, *, y: float = 0.01) -> None:
    """Write what bars, points and intervals mean at the foot of the figure."""
    figure.text(
        0.02, y, text, fontsize=7, va="bottom", ha="left", color="#444444", linespacing=1.35
    )
