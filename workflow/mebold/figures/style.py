"""One look for all figures: sizes, fonts and colours that colour-blind readers can tell apart."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mebold.errors import ConfigError
from mebold.files.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.5  # inches: the text width of a report page
# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
GREY, INK = "#9A9A9A", "#222222"
MARKERS = "osD^vP*X"

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


def figure_bytes(figure: Figure, *, kind: str = "png", dpi: int = 150) -> bytes:
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
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return _of_256_colours(buffer) if kind == "png" else buffer.getvalue()


def _of_256_colours(buffer: io.BytesIO) -> bytes:
    """Return a PNG with a palette of its own: half the size, and no eye sees the difference."""
    from PIL import Image

    with Image.open(buffer) as image:
        small, dpi = image.convert("RGB"), image.info.get("dpi")
    out = io.BytesIO()
    palette = {"method": Image.Quantize.MEDIANCUT, "dither": Image.Dither.NONE}
    small.quantize(256, **palette).save(out, "PNG", optimize=True, dpi=dpi)
    return out.getvalue()


def save(figure: Figure, *paths: str | os.PathLike, dpi: int = 150) -> None:
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
