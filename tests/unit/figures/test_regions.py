"""Figures of regions: bars, and outlines on the T1w."""

import numpy as np
import pandas as pd

from mebold.figures import regions
from mebold.phantom.cortex import icosphere


def test_bars_have_a_line_per_region():
    rows = pd.DataFrame(
        {
            "roi": ["V1", "best", "none"], "category": ["x", "data", "x"],
            "median": [12.0, 40, np.nan], "mean": [14.0, 41, np.nan], "p90": [30.0, 60, np.nan],
            "ci_low": [8.0, np.nan, np.nan], "ci_high": [16.0, np.nan, np.nan],
            "n_data": [100, 20, 0],
        }
    )  # fmt: skip
    (axes,) = regions.roi_bars(rows).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "V1  (100)", "best  (20)", "none  (0)",
    ]  # fmt: skip
    widths = [bar.get_width() for bar in axes.patches]
    assert widths[:2] == [12.0, 40.0]
    colours = [bar.get_facecolor()[:3] for bar in axes.patches[:2]]
    assert colours[0] != colours[1]  # chosen by the noise ceiling itself


def test_outlines_have_names_in_their_colours():
    shape, affine = (12, 14, 10), np.diag([5.0, 5, 5, 1])
    grid = np.indices(shape)
    brain = ((grid - np.array(shape).reshape(3, 1, 1, 1) / 2) ** 2).sum(0) < 25
    masks = {f"R{i}": brain & (grid[0] == 4 + i % 4) for i in range(7)}
    drawn = {"t1w": brain * 100.0, "t1w_affine": affine, "mask": brain}
    figure = regions.roi_mosaic(brain * 20.0, affine, masks, **drawn)
    shown = {text.get_text(): text.get_color() for text in figure.texts}
    assert set(masks) <= set(shown)
    assert shown["R0"] == shown["R6"] != shown["R1"]  # six colours, in turn
    empty = regions.roi_mosaic(brain * 0.0, affine, {}, **drawn)
    assert "0 regions" in " ".join(text.get_text() for text in empty.texts)


def test_hemispheres_are_seen_from_their_side():
    """The back of the left is to the right of its outside, and to the left of its middle."""
    unit, faces = icosphere(2)
    back = {hemi: np.where(unit[:, 1] < -0.5, 30.0, 0) for hemi in "LR"}
    back["R"] = np.where(unit[:, 1] > 0.5, np.nan, 0.0)
    about = {"unit": "percent", "title": "Mark"}
    figure = regions.on_surface(back, dict.fromkeys("LR", (unit, faces)), **about)
    views = {axes.get_title(): axes for axes in figure.axes if axes.collections}

    def place(title, chosen):
        (drawn,) = views[title].collections
        colours = drawn.get_facecolors()[:, :3]
        grey = np.ptp(colours, axis=1) < 1e-6
        bright = colours[:, 1] / colours.max(axis=1) > 0.8
        here = grey if chosen == "grey" else bright & ~grey
        return np.mean([p.vertices[:, 0].mean() for p in np.array(drawn.get_paths())[here]])

    assert place("Left hemisphere, outside (front left)", "mark") > 0.3
    assert place("Left hemisphere, middle (front right)", "mark") < -0.3
    assert place("Right hemisphere, outside (front right)", "grey") > 0.3  # unknown at the front
    assert place("Right hemisphere, middle (front left)", "grey") < -0.3
