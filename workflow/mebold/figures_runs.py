"""Figures of time courses: motion, single-trial betas, number of noise components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.figures_style import BLUE, GREEN, GREY, INK, ORANGE, RED, WIDTH, new_figure, style

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


def beta_carpet(
    betas: np.ndarray,
    runs: Sequence,
    *,
    order: np.ndarray | None = None,
    limit: float | None = None,
    max_voxels: int = 1000,
    title: str = "Single-trial betas",
) -> Figure:
    """Draw betas as voxels by trials, with the mean of every trial above.

    Parameters
    ----------
    betas : (V, N) array
        Percent signal change, trials in session order.
    runs : sequence, (N,)
        Run of each trial; changes are marked.
    order : (V,) array, optional
        Voxels are sorted by it, largest on top (noise ceiling or R2).
    limit : float, optional
        Colours reach from ``-limit`` to ``limit`` percent; default the 98th percentile of |beta|.
    max_voxels : int
        Rows drawn; neighbours in the order are averaged down to that.
    title : str

    Returns
    -------
    Figure
        Stripes over all voxels are trials with artefacts; blocks that follow runs are drifts.
    """
    betas = np.asarray(betas, np.float32)
    runs = np.asarray(runs)
    if betas.ndim != 2 or runs.shape != (betas.shape[1],):
        raise DataError(f"betas {betas.shape} and runs {runs.shape} do not belong together")
    rows, n_voxels = _carpet_rows(betas, order, max_voxels)
    limit = limit or float(np.percentile(np.abs(rows), 98)) or 1.0
    changes = np.flatnonzero(runs[1:] != runs[:-1]) + 0.5
    with style():
        figure = new_figure(WIDTH, 4.2, layout="constrained")
        top, carpet = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4))
        top.plot(np.arange(rows.shape[1]), rows.mean(0), color=INK, lw=0.7)
        top.axhline(0, color=GREY, lw=0.5)
        top.set_ylabel("Mean (%)")
        top.set_title(title, loc="left", fontweight="bold")
        image = carpet.imshow(
            rows, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        for axes in (top, carpet):
            for x in changes:
                axes.axvline(x, color=INK, lw=0.6, ls=":")
        sorting = "" if order is None else ", highest rank on top"
        carpet.set(xlabel="Trial of the session; dotted: change of run", yticks=[])
        carpet.set_ylabel(f"{n_voxels} voxels{sorting}")
        figure.colorbar(image, ax=carpet, label="Beta (% signal change)", pad=0.01, aspect=30)
    return figure


def _carpet_rows(
    betas: np.ndarray, order: np.ndarray | None, max_rows: int
) -> tuple[np.ndarray, int]:
    """Return at most `max_rows` means of neighbours in the order, and the number of voxels.

    Row by row: a sorted copy of a session's betas would double the memory of a fit.
    """
    voxels = np.flatnonzero(np.isfinite(betas.sum(axis=1, dtype=np.float64)))
    if not voxels.size:
        raise DataError("nothing to draw: no voxel has finite betas")
    if order is not None:
        voxels = voxels[np.argsort(-np.asarray(order, float)[voxels], kind="stable")]
    groups = np.array_split(voxels, min(max_rows, voxels.size))
    return np.stack([betas[group].mean(axis=0) for group in groups]), voxels.size


def component_curve(
    curve: np.ndarray | None, *, chosen: int, title: str = "Number of noise components"
) -> Figure:
    """Draw how cross-validated performance depends on the number of noise components.

    Parameters
    ----------
    curve : (K + 1,) array or None
        Performance with 0 .. K components (higher is better), as GLMsingle's ``xvaltrend``; None
        where the number was not cross-validated.
    chosen : int
        Number chosen.
    title : str

    Returns
    -------
    Figure
    """
    if curve is None:
        with style():
            figure = new_figure(4.6, 1.0)
            text = f"{chosen} GLMdenoise components, not chosen by cross-validation (no repeats "
            figure.text(0.02, 0.5, f"{text}across runs, or fixed by the configuration).", wrap=True)
            figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
        return figure
    curve = np.asarray(curve, float)
    if curve.ndim != 1 or not 0 <= chosen < curve.size:
        raise DataError(
            f"{chosen} components chosen, but the curve has shape {curve.shape}; its first value "
            "belongs to 0 components"
        )
    change = curve - curve[0]
    with style():
        figure = new_figure(4.6, 2.9, layout="constrained")
        axes = figure.subplots()
        axes.plot(np.arange(curve.size), change, "o-", color=BLUE, ms=4, lw=1.2)
        axes.plot(
            chosen, change[chosen], "o", ms=10, mfc="none", mec=RED, mew=1.6,
            label=f"chosen: {chosen}",
        )  # fmt: skip
        axes.axhline(0, color=GREY, lw=0.5)
        axes.set(
            xlabel="GLMdenoise components",
            ylabel="Change in cross-validated\nperformance (squared z units)",
            xticks=np.arange(curve.size),
        )
        axes.set_title(title, loc="left", fontweight="bold")
        axes.legend(loc="best")
    return figure
