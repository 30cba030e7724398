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
) -> Figure:
    """Draw translations, rotations and framewise displacement of one run.

    Parameters
    ----------
    parameters : (t, 6) array
        Translations x, y, z in mm, then rotations about x, y, z in radians (RAS+).
    framewise_displacement : (t,) array
        mm; the first value may be NaN.
    tr : float
        Interval between volumes in seconds.
    threshold_mm : float
        Line in the lowest panel; volumes above it are counted.
    title : str

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
    n_above = int(np.sum(fd > threshold_mm))
    with style():
        figure = new_figure(WIDTH, 4.4, layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
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
        above = fd > threshold_mm
        panels[2].plot(time[above], fd[above], "o", ms=3, color=RED)
        panels[2].set(ylabel="Framewise\ndisplacement (mm)", xlabel="Time (s)")
        panels[2].set_ylim(0, max(1.3 * threshold_mm, 1.1 * np.nanmax(fd)))
        panels[2].set_xlim(0, time[-1] if fd.size > 1 else 1)
        mean = np.nanmean(fd)
        panels[0].set_title(
            f"{title}: mean FD {mean:.3f} mm, largest {np.nanmax(fd):.2f} mm, {n_above} of "
            f"{fd.size} volumes above {threshold_mm:g} mm",
            loc="left",
            fontweight="bold",
        )
    return figure
