"""Figures of the confounds of a run: carpet with traces, and what the regressors share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mebold.confounds import drifts
from mebold.errors import DataError
from mebold.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    WIDTH,
    new_figure,
    style,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TISSUES = {"grey matter": BLUE, "white matter": ORANGE, "CSF": PURPLE, "brain": GREY}
_MASKS = {"combined": INK, "WM": ORANGE, "CSF": PURPLE, "brain": BLUE}
_ROWS = 240  # of the carpet: as many as it has pixels
#: Regressors whose correlations are drawn, and how many components of each kind.
_SHOWN = ("global_signal", "csf", "white_matter", "framewise_displacement", "std_dvars",
          "trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")  # fmt: skip
_COMPONENTS = ("a_comp_cor_", "c_comp_cor_", "w_comp_cor_", "t_comp_cor_")
_OF_EACH = 3


def carpet(
    series: np.ndarray,
    tissues: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    *,
    tr: float,
    threshold_mm: float = 0.5,
    non_steady: int = 0,
    title: str = "Carpet",
) -> Figure:
    """Draw voxels by time, with global signal, DVARS and framewise displacement above.

    Parameters
    ----------
    series : (V, T) array
        Read in parts; may be memory-mapped.
    tissues : mapping of str to (V,) bool array
        ``grey matter``, ``white matter`` and ``CSF``: rows of the carpet from the top.
    table : DataFrame
        Confounds of the run, T rows: ``global_signal``, ``std_dvars`` and
        ``framewise_displacement``.
    tr : float
        Interval of the samples in seconds.
    threshold_mm : float
        Line in the panel of the displacement.
    non_steady : int
        Samples at the start that are not steady: shaded, and left out of colours and ranges.
    title : str

    Returns
    -------
    Figure
        Each row is the mean of neighbouring voxels of one tissue, whose series lost slow drifts
        and were scaled to their standard deviation.

    Raises
    ------
    DataError
        When series, tissues and table do not belong together.
    """
    if len(table) != series.shape[1] or any(len(t) != len(series) for t in tissues.values()):
        raise DataError(
            f"series {series.shape}, {len(table)} rows of confounds and tissues of "
            f"{[len(t) for t in tissues.values()]} voxels do not belong together"
        )
    rows, colours = _rows(series, tissues, tr=tr, non_steady=non_steady)
    steady = rows[:, non_steady:]
    limit = float(np.percentile(np.abs(steady), 98)) if steady.size else 1.0
    time = np.arange(series.shape[1]) * tr
    with style():
        figure = new_figure(WIDTH, 5.4, layout="constrained")
        panels = figure.subplots(4, 1, sharex=True, height_ratios=(1.2, 1.2, 1.2, 4))
        _trace(panels[0], time, _percent(table["global_signal"], non_steady), "Global\nsignal (%)")
        _trace(panels[1], time, table["std_dvars"], "DVARS\n(std.)")
        fd = np.asarray(table["framewise_displacement"], float)
        _trace(panels[2], time, fd, "FD (mm)")
        panels[2].axhline(threshold_mm, color=RED, lw=0.8, ls="--")
        panels[2].set_ylim(0, max(1.3 * threshold_mm, 1.1 * np.nanmax([*fd, 0])))
        image = panels[3].imshow(
            rows,
            aspect="auto",
            cmap="Greys",
            vmin=-(limit or 1.0),
            vmax=limit or 1.0,
            interpolation="nearest",
            extent=(time[0] - tr / 2, time[-1] + tr / 2, len(rows), 0),
        )
        panels[3].set(xlabel="Time (s)", yticks=[])
        start = 0
        for name, count in colours.items():
            bar = (-0.012, 1 - (start + count) / len(rows)), 0.009, count / len(rows)
            panels[3].add_patch(_patch(*bar, _TISSUES[name], panels[3]))
            panels[3].annotate(
                name, (-0.018, 1 - (start + count / 2) / len(rows)), xycoords="axes fraction",
                rotation=90, ha="right", va="center", fontsize=7,
            )  # fmt: skip
            start += count
        for axes in panels:
            if non_steady:
                axes.axvspan(-tr / 2, (non_steady - 0.5) * tr, color=GREY, alpha=0.3, lw=0)
        panels[0].set_title(title, loc="left", fontweight="bold")
        figure.colorbar(image, ax=panels[3], label="SD", pad=0.01, aspect=25)
    return figure


def _rows(
    series: np.ndarray, tissues: Mapping[str, np.ndarray], *, tr: float, non_steady: int
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the rows of the carpet, and how many of them each tissue has."""
    total = sum(int(np.count_nonzero(member)) for member in tissues.values())
    n_steady = series.shape[1] - non_steady
    basis = drifts.polynomials(n_steady, drifts.degree(n_steady, tr=tr))
    rows, counts = [], {}
    for name, member in tissues.items():
        voxels = np.flatnonzero(member)
        if not voxels.size:
            continue
        count = max(1, min(voxels.size, round(_ROWS * voxels.size / total)))
        counts[name] = count
        for part in np.array_split(voxels, count):
            block = np.array(series[part], np.float64)
            block -= block[:, non_steady:].mean(1, keepdims=True)
            steady = block[:, non_steady:]
            steady -= (steady @ basis) @ basis.T
            sd = steady.std(1, keepdims=True)
            rows.append((block / np.where(sd > 0, sd, 1)).mean(0))
    if not rows:
        raise DataError("carpet: no voxel of any tissue")
    return np.array(rows), counts


def _patch(corner: tuple[float, float], width: float, height: float, colour: str, axes: Axes):
    from matplotlib.patches import Rectangle

    place = {"transform": axes.transAxes, "clip_on": False}
    return Rectangle(corner, width, height, color=colour, lw=0, **place)


def _trace(axes: Axes, time: np.ndarray, values, label: str) -> None:
    axes.plot(time, np.asarray(values, float), color=INK, lw=0.8)
    axes.set_ylabel(label)
    axes.set_xlim(time[0], time[-1])


def _percent(values, non_steady: int) -> np.ndarray:
    """Return a signal as percent of its steady mean; what is not steady would hide the rest."""
    values = np.asarray(values, float).copy()
    mean = values[non_steady:].mean()
    change = 100 * (values / mean - 1) if mean else values - mean
    change[:non_steady] = np.nan
    return change


def shared(
    table: pd.DataFrame,
    components: Mapping[str, list[tuple[float, bool]]],
    *,
    title: str = "Confounds",
) -> Figure:
    """Draw how much CompCor's components explain, and how the regressors correlate.

    Parameters
    ----------
    table : DataFrame
        Confounds of the run.
    components : mapping
        Mask (``WM``, ``CSF``, ``combined``, ``brain``) to variance explained and whether it was
        kept, of each component in their order.
    title : str

    Returns
    -------
    Figure
    """
    names = [name for name in _SHOWN if name in table]
    for prefix in _COMPONENTS:
        names += [f"{prefix}{i:02d}" for i in range(_OF_EACH) if f"{prefix}{i:02d}" in table]
    values = table[names].to_numpy(float)
    values = values[np.isfinite(values).all(1)]
    moving = values.std(0) > 0
    correlation = np.zeros((len(names), len(names)))
    correlation[np.ix_(moving, moving)] = np.corrcoef(values[:, moving], rowvar=False)
    with style():
        figure = new_figure(WIDTH, 4.0, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
        for mask, found in components.items():
            total = 100 * np.cumsum([share for share, _ in found])
            kept = sum(keep for _, keep in found)
            colour = _MASKS.get(mask, GREEN)
            left.plot(np.arange(1, len(total) + 1), total, color=colour, lw=1)
            left.plot(
                kept, total[kept - 1] if kept else 0, "o", ms=4, color=colour,
                label=f"{mask}: {kept} kept",
            )  # fmt: skip
        left.axhline(50, color=GREY, lw=0.7, ls="--")
        left.set(xlabel="Components", ylabel="Variance explained (%)", ylim=(0, 101))
        left.set_xscale("log")
        left.xaxis.set_major_formatter("{x:g}")
        left.legend(loc="lower right")
        left.set_title(title, loc="left", fontweight="bold")
        image = right.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        places = range(len(names))
        right.set_xticks(places, names, rotation=90, fontsize=6)
        right.set_yticks(places, names, fontsize=6)
        figure.colorbar(image, ax=right, label="Correlation", pad=0.01, aspect=25)
    return figure
