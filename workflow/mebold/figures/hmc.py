"""Figure of head motion: parameters and framewise displacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.figures.style import BLUE, GREEN, GREY, INK, ORANGE, RED, WIDTH, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = (("x", BLUE), ("y", ORANGE), ("z", GREEN))


def motion_traces(
    parameters: np.ndarray,
    framewise_displacement: np.ndarray,
    *,
    tr: float,
    threshold_mm: float = 0.5,
    title: str = "Head motion",
    match: np.ndarray | None = None,
    doubtful: np.ndarray | None = None,
    non_steady: int = 0,
) -> Figure:
    """Draw translations, rotations, framewise displacement and match of the volumes of one run.

    Parameters
    ----------
    parameters : (t, 6) array
        Translations x, y, z in mm, then rotations about x, y, z in radians (RAS+).
    framewise_displacement : (t,) array
        mm; the first value may be NaN.
    tr : float
        Interval between volumes in seconds.
    threshold_mm : float
        Line in the panel of the displacement; volumes above it are counted.
    title : str
    match : (t, 2) array, optional
        Correlation of each volume with the reference, and share of the head in its field of view:
        a fourth panel.
    doubtful : (t,) bool array, optional
        Volumes whose motion cannot be trusted: marked in every panel.
    non_steady : int
        Volumes at the start that are not steady: shaded, and not counted.

    Returns
    -------
    Figure
    """
    parameters = np.asarray(parameters, float)
    fd = np.asarray(framewise_displacement, float)
    if parameters.ndim != 2 or parameters.shape != (fd.size, 6):
        raise DataError(
            f"motion parameters {parameters.shape} and framewise displacement {fd.shape} do not "
            "belong together; expected (t, 6) and (t,)"
        )
    time = np.arange(fd.size) * tr
    wrong = np.zeros(fd.size, bool) if doubtful is None else np.asarray(doubtful, bool)
    above = fd > threshold_mm
    if non_steady:
        above[: non_steady + 1] = False
    with style():
        figure = new_figure(WIDTH, 4.4 if match is None else 5.6, layout="constrained")
        panels = figure.subplots(3 if match is None else 4, 1, sharex=True)
        for first, axes, factor in ((0, panels[0], 1.0), (3, panels[1], 180 / np.pi)):
            for i, (name, colour) in enumerate(_AXES):
                axes.plot(time, parameters[:, first + i] * factor, color=colour, lw=1, label=name)
            axes.axhline(0, color=GREY, lw=0.5)
        panels[0].set(ylabel="Translation (mm)")
        panels[1].set(ylabel="Rotation (°)")
        panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        panels[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="about")
        panels[2].plot(time, fd, color=INK, lw=0.8)
        panels[2].axhline(threshold_mm, color=RED, lw=0.8, ls="--")
        panels[2].plot(time[above], fd[above], "o", ms=3, color=RED)
        panels[2].set(ylabel="Framewise\ndisplacement (mm)")
        panels[2].set_ylim(0, max(1.3 * threshold_mm, 1.1 * np.nanmax(fd)))
        if match is not None:
            _draw_match(panels[3], time, np.asarray(match, float), wrong)
        panels[-1].set(xlabel="Time (s)")
        panels[-1].set_xlim(0, time[-1] if fd.size > 1 else 1)
        for axes in panels:
            if non_steady:
                axes.axvspan(0, (non_steady - 0.5) * tr, color=GREY, alpha=0.3, lw=0)
            for t in time[wrong]:
                axes.axvspan(t - tr / 2, t + tr / 2, color=RED, alpha=0.25, lw=0)
        mean = np.nanmean(fd)
        counted = f"{int(above.sum())} of {fd.size} volumes above {threshold_mm:g} mm"
        counted += f", {int(wrong.sum())} doubtful (red)" if wrong.any() else ""
        counted += f", {non_steady} not steady (grey)" if non_steady else ""
        panels[0].set_title(
            f"{title}: mean FD {mean:.3f} mm, largest {np.nanmax(fd):.2f} mm,\n{counted}",
            loc="left",
            fontweight="bold",
        )
    return figure


def _draw_match(axes, time: np.ndarray, match: np.ndarray, wrong: np.ndarray) -> None:
    """Draw correlation and overlap (t, 2) of every volume."""
    for values, colour, name in zip(match.T, (INK, BLUE), ("correlation", "overlap"), strict=True):
        axes.plot(time, values, color=colour, lw=0.8, label=name)
        axes.plot(time[wrong], values[wrong], "o", ms=3, color=RED)
    axes.set(ylabel="Match", ylim=(min(0.9, 0.97 * float(match.min())), 1.005))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
