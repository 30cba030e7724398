"""Figures of all regions of a subject: bars of their noise ceilings, outlines on the T1w image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mebold.figures.rows import (
    anatomy_layer,
    robust_range,
    round_up,
    row_figure,
    same_grid,
    three_views,
    warm_map,
)
from mebold.figures.slices import Contour, Layer, bounding_box
from mebold.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    WIDTH,
    new_figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OUTLINES = (SKY, GREEN, RED, PURPLE, ORANGE, BLUE)
_NAMES_IN_LINE = 6


def roi_bars(rows: pd.DataFrame, *, title: str = "Noise ceilings of regions") -> Figure:
    """Draw the median noise ceiling of every region, with its interval.

    Parameters
    ----------
    rows : DataFrame
        A row per region: ``roi category median mean p90 ci_low ci_high n_data``. Regions of the
        category ``data`` are grey.
    title : str

    Returns
    -------
    Figure
    """
    height = 1.0 + 0.2 * max(len(rows), 2)
    with style():
        figure = new_figure(WIDTH, height, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontweight="bold")
        for place, row in enumerate(rows.to_dict("records")):
            chosen = row["category"] == "data"
            axes.barh(place, row["median"], 0.7, color=GREY if chosen else BLUE, alpha=0.75, lw=0)
            if np.isfinite(row["ci_low"]):
                axes.plot([row["ci_low"], row["ci_high"]], [place] * 2, color=INK, lw=1.2)
            axes.plot(row["mean"], place, "o", ms=3.6, mfc="white", mec=INK, mew=0.7)
            axes.plot(row["p90"], place, "|", ms=6, color=INK)
        axes.axvline(0, color=INK, lw=0.7)
        names = [f"{r['roi']}  ({r['n_data']:,})" for r in rows.to_dict("records")]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(left=min(0, np.nanmin([0, *rows["ci_low"]])))
        axes.set_xlabel(
            "Noise ceiling, percent: median (bar) with 95 % interval, mean (o), 90th percentile (|)"
        )
    return figure


def roi_mosaic(
    ceiling: np.ndarray,
    affine: np.ndarray,
    regions: Mapping[str, np.ndarray],
    *,
    t1w: np.ndarray,
    t1w_affine: np.ndarray,
    mask: np.ndarray,
    n_slices: int = 6,
    title: str = "Regions",
) -> Figure:
    """Draw the noise ceiling on the T1w with the outlines of all regions.

    Parameters
    ----------
    ceiling : (x, y, z) array
        Percent.
    affine : (4, 4) array
        Its grid.
    regions : mapping of str to (x, y, z) bool array
        One colour each, in turn.
    t1w, t1w_affine
        Anatomy and its grid.
    mask : (x, y, z) array
        Brain on the grid of the ceiling.
    n_slices : int
    title : str

    Returns
    -------
    Figure
    """
    same_grid("the noise ceiling", ceiling, mask)
    mask = np.asarray(mask) > 0
    top = round_up(max(robust_range(ceiling[mask], high=99.5)[1], 1.0))
    colours = {name: _OUTLINES[i % len(_OUTLINES)] for i, name in enumerate(regions)}
    names = f"{len(regions)} region{'s' * (len(regions) != 1)}"
    union = np.any(list(regions.values()), axis=0) if regions else mask
    # Inside the regions alone: the whole map has a figure of its own, and would hide the outlines.
    shown = Layer(np.where(union, ceiling, np.nan), affine, warm_map(), 0, top, below=0.05 * top)
    figure, (_, foot) = row_figure(
        three_views(
            union if union.any() else mask,
            affine,
            [anatomy_layer(t1w, t1w_affine), shown],
            n_slices,
            contours=[Contour(one, affine, colours[name], 0.7) for name, one in regions.items()],
        ),
        box=bounding_box(mask, affine),
        title=title,
        subtitle=f"{names}, {int(union.sum())} voxels together",
        shared_bar=(shown, "Noise ceiling (%)"),
        extra_inches=0.2 * -(-max(len(colours), 1) // _NAMES_IN_LINE),
    )
    with style():
        for i, (name, colour) in enumerate(colours.items()):
            line, place = divmod(i, _NAMES_IN_LINE)
            lines = -(-len(colours) // _NAMES_IN_LINE)
            figure.text(
                0.03 + 0.94 * place / _NAMES_IN_LINE, foot * (1 - (line + 0.7) / lines), name,
                color=colour, fontsize=7, fontweight="bold", va="center",
            )  # fmt: skip
    return figure


def on_surface(
    values: Mapping[str, np.ndarray],
    surfaces: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    unit: str,
    title: str,
) -> Figure:
    """Draw a map on inflated hemispheres, from the outside and from the middle.

    Parameters
    ----------
    values : mapping of str to (N,) array
        By hemisphere, ``L`` and ``R``; NaN where nothing is known, which is grey.
    surfaces : mapping of str to tuple of arrays
        Vertices (N, 3), x to the right, y to the front and z up, and faces (F, 3).
    unit : str
        Of the values.
    title : str

    Returns
    -------
    Figure
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize

    whole = np.concatenate([np.asarray(one, float) for one in values.values()])
    known = whole[np.isfinite(whole)]
    top = round_up(max(np.percentile(known, 99) if known.size else 1.0, 1e-3))
    scale, colours = Normalize(0, top), warm_map()
    with style():
        figure = new_figure(WIDTH, 4.6)
        figure.text(0.02, 0.985, title, va="top", fontweight="bold", fontsize=9)
        for column, hemi in enumerate(("L", "R")):
            vertices, faces = surfaces[hemi]
            for row, view in enumerate(("outside", "middle")):
                # Seen along x: from the left for the outside of the left hemisphere.
                from_left = (hemi == "L") == (view == "outside")
                across = -vertices[:, 1] if from_left else vertices[:, 1]
                depth = -vertices[:, 0] if from_left else vertices[:, 0]
                axes = figure.add_axes([0.02 + 0.44 * column, 0.47 - 0.45 * row, 0.42, 0.42])
                order = np.argsort(depth[faces].mean(axis=1))  # the nearest last
                drawn = faces[order]
                shade = _shade(vertices, drawn)
                mean = np.asarray(values[hemi], float)[drawn].mean(axis=1)
                face = colours(scale(np.nan_to_num(mean)))[:, :3]
                face[~np.isfinite(mean)] = 0.75
                places = np.stack([across, vertices[:, 2]], axis=1)[drawn]
                shaded = face * shade[:, None]
                # Edges of their own colour: between smoothed edges alone the page shines through.
                axes.add_collection(
                    PolyCollection(places, facecolors=shaded, edgecolors=shaded, linewidths=0.3)
                )
                axes.autoscale_view()
                axes.set(aspect="equal")
                axes.set_axis_off()
                front = "front left" if from_left else "front right"
                name = {"L": "Left", "R": "Right"}[hemi]
                axes.set_title(f"{name} hemisphere, {view} ({front})", fontsize=7.5, pad=1)
        bar = figure.colorbar(
            ScalarMappable(scale, colours), cax=figure.add_axes([0.91, 0.3, 0.015, 0.4])
        )
        bar.set_label(unit)
    return figure


def _shade(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return how much light along x triangles (F, 3) give back, 0.55 to 1."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    return 0.55 + 0.45 * np.clip(np.abs(normal[:, 0]) / length, 0, 1)
