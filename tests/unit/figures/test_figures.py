"""Every figure is made from small inputs, says what it shows, and leaves its inputs alone."""

import copy
import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from mebold.compare import subjects
from mebold.compare.advice import advise
from mebold.compare.tables import LONG_COLUMNS, PAIRED_COLUMNS
from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.figures.anat import segmentation
from mebold.figures.bars import colour_of
from mebold.figures.compare import variant_comparison, variant_metrics
from mebold.figures.coreg import registration
from mebold.figures.hmc import motion_traces
from mebold.figures.multiecho import t2star, tsnr
from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.nordic import nordic_qc, weakest_response
from mebold.figures.rois import visual_roi
from mebold.figures.rows import round_up
from mebold.figures.sdc import changing_field, distortion, unwarping
from mebold.figures.singletrial import beta_carpet, component_curve, model_maps
from mebold.figures.style import (
    DPI,
    GREEN,
    ORANGE,
    RED,
    figure_bytes,
    new_figure,
    save,
    style,
    with_palette,
)
from mebold.geometry import affines

SHAPE = (12, 14, 10)
AFFINE = affines.rigid_matrix(np.array([2.0, 1, 0, 0.1, 0, 0.1]), np.zeros(3)) @ np.diag(
    [-4.0, 4, 4, 1]
)
RNG = np.random.default_rng(0)
MASK = np.zeros(SHAPE, bool)
MASK[2:-2, 2:-2, 1:-1] = True
VOLUME = (RNG.gamma(4, 10, SHAPE) * MASK).astype(np.float32)
SERIES = VOLUME[..., None] + RNG.standard_normal((*SHAPE, 6)).astype(np.float32)
T1W = {"t1w": VOLUME, "t1w_affine": AFFINE}
MATRIX = affines.rigid_matrix(np.array([3.0, 0, 0, 0, 0.05, 0]), np.zeros(3))
DSEG = np.where(MASK, RNG.integers(1, 4, SHAPE), 0)

SLICES = {
    "noise_ceiling": (
        noise_ceiling, (VOLUME, AFFINE), T1W | {"mask": MASK, "roi": VOLUME > 50},
        ["Noise ceiling (%)", "ROI, median"],
    ),
    "visual_roi": (
        visual_roi, (VOLUME / 10, AFFINE), T1W | {"mask": MASK, "threshold": 2.0},
        ["Cross-validated score", "threshold 2"],
    ),
    "tsnr": (tsnr, (VOLUME, AFFINE), {"mask": MASK}, ["tSNR", "median in mask"]),
    "t2star": (t2star, (VOLUME / 1000, AFFINE), {"mask": MASK}, ["T2* (ms)", "Voxels"]),
    "model_maps": (
        model_maps, (DSEG, VOLUME / 100, AFFINE), {"mask": MASK, "r2": VOLUME},
        ["Response index", "Ridge fraction", "Variance explained (%)"],
    ),
    "segmentation": (
        segmentation, (VOLUME, AFFINE), {"dseg": DSEG, "brain_mask": MASK}, ["ml"],
    ),
    "nordic_qc": (
        nordic_qc, (SERIES, 0.5 * (SERIES + VOLUME[..., None]), AFFINE),
        {"gfactor": VOLUME + 1, "residual_sd": VOLUME, "components_removed": VOLUME, "mask": MASK},
        ["removed", "removed SD", "g-factor", "components", "tSNR ratio", "after / before"],
    ),
    "weakest_response": (
        weakest_response, (VOLUME, 2 * VOLUME, AFFINE), {"mask": MASK, "subtitle": "Weakest: 3 %"},
        ["shared", "differences", "% (SD)", "Weakest: 3 %"],
    ),
    "distortion": (
        distortion, (VOLUME, VOLUME, AFFINE),
        {"mask": MASK, "field_hz": VOLUME - 40, "outlines": [(MASK, AFFINE)], "matrix": MATRIX},
        ["before", "after", "field", "Hz"],
    ),
    "changing_field": (
        changing_field, (SERIES, AFFINE), {"mask": MASK, "tr": 1.9, "mm_per_hz": 0.04},
        ["SD (Hz)", "rms in the brain", "mean of the brain", "Time (s)"],
    ),
    "unwarping": (
        unwarping, (VOLUME, VOLUME, AFFINE), {"mask": MASK, "length_mm": VOLUME / 20},
        ["before", "after", "displacement", "Gradient nonlinearity"],
    ),
    "registration": (
        registration, (VOLUME, AFFINE, VOLUME, AFFINE, MATRIX), {"mask": MASK}, ["edges"],
    ),
}  # fmt: skip


def words(figure):
    """Return all text of a figure."""
    from matplotlib.text import Text

    return " | ".join(t.get_text() for t in figure.findobj(Text))


@pytest.mark.parametrize("name", SLICES)
def test_figures_of_slices(name):
    function, arguments, options, expected = SLICES[name]
    before = copy.deepcopy((arguments, options))
    figure = function(*arguments, n_slices=2, **options)
    text = words(figure)
    for word in [*expected, "L", "R", "mm"]:
        assert word in text, word
    assert figure_bytes(figure, dpi=40).startswith(b"\x89PNG")
    np.testing.assert_equal((arguments, options), before)


def test_figure_files_are_equal_on_every_call(tmp_path):
    def make():
        return component_curve(np.array([0.0, 2, 3, 2]), chosen=2)

    for kind in ("png", "svg"):
        assert figure_bytes(make(), kind=kind) == figure_bytes(make(), kind=kind)
    save(make(), tmp_path / "new" / "a.png", tmp_path / "a.svg")
    assert sorted(p.name for p in tmp_path.rglob("a.*")) == ["a.png", "a.svg"]
    assert "chosen: 2" in (tmp_path / "a.svg").read_text()
    with pytest.raises(ConfigError, match="written as png, svg, pdf"):
        save(make(), tmp_path / "a.jpg")


def test_figures_leave_no_global_state():
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    component_curve(np.array([0.0, 2, 3, 2]), chosen=2)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_motion_counts_volumes_and_uses_degrees():
    parameters = np.zeros((20, 6))
    parameters[5:, 3] = np.pi / 180
    fd = np.r_[np.nan, np.zeros(19)]
    fd[5], fd[9] = 0.9, 0.6
    figure = motion_traces(parameters, fd, tr=1.9)
    assert "2 of 20 volumes above 0.5 mm" in words(figure)
    assert "largest 0.90 mm" in words(figure)
    rotation = figure.axes[1].lines[0].get_ydata()
    np.testing.assert_allclose(rotation[5:], 1)
    assert figure.axes[2].get_xlim()[1] == pytest.approx(19 * 1.9)
    with pytest.raises(DataError, match=r"expected \(t, 6\) and \(t,\)"):
        motion_traces(parameters[:, :5], fd, tr=1.9)


def test_motion_figure_marks_what_cannot_be_trusted():
    fd = np.r_[np.nan, 0.1, 0.9, np.zeros(17)]
    match = np.tile([0.99, 1.0], (20, 1))
    match[7] = 0.8, 0.6
    doubtful = np.arange(20) == 7
    figure = motion_traces(
        np.zeros((20, 6)), fd, tr=2.0, match=match, doubtful=doubtful, non_steady=2
    )
    assert "0 of 20 volumes above 0.5 mm, 1 doubtful (red), 2 not steady (grey)" in words(figure)
    panel = figure.axes[3]
    np.testing.assert_allclose(panel.lines[0].get_ydata(), match[:, 0])
    assert panel.lines[1].get_xdata().tolist() == [14.0]
    assert panel.get_ylim()[0] < 0.6


def test_carpet_sorts_marks_runs_and_averages_rows():
    betas = np.tile(np.arange(40.0)[:, None], (1, 10))
    runs = np.repeat(["01", "02"], 5)
    figure = beta_carpet(betas, runs, order=np.arange(40), max_voxels=4)
    drawn = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_allclose(drawn[:, 0], [34.5, 24.5, 14.5, 4.5])
    marks = [x for line in figure.axes[1].lines for x in line.get_xdata()]
    assert set(marks) == {4.5}
    assert "40 voxels, highest rank on top" in words(figure)
    with pytest.raises(DataError, match="do not belong together"):
        beta_carpet(betas, runs[:-1])
    with pytest.raises(DataError, match="no voxel has finite betas"):
        beta_carpet(betas * np.nan, runs)


def test_component_curve_starts_at_zero():
    figure = component_curve(np.array([-5.0, -2, -3]), chosen=1)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0, 3, 2])
    fixed = component_curve(None, chosen=4)
    assert "4 GLMdenoise components, not chosen by cross-validation" in words(fixed)
    with pytest.raises(DataError, match="3 components chosen"):
        component_curve(np.array([-5.0, -2, -3]), chosen=3)


def test_distortion_moves_the_frame_not_the_image():
    moved = distortion(VOLUME, VOLUME, MATRIX @ AFFINE, mask=MASK, matrix=MATRIX)
    plain = distortion(VOLUME, VOLUME, AFFINE, mask=MASK)
    for a, b in zip(moved.axes, plain.axes, strict=True):
        assert a.get_title() == b.get_title()
        np.testing.assert_allclose(
            np.ma.filled(a.images[0].get_array(), 0), np.ma.filled(b.images[0].get_array(), 0),
            atol=1e-3,
        )  # fmt: skip


def test_wrong_grids_and_empty_maps_are_named():
    with pytest.raises(GridMismatchError, match="the tSNR map has"):
        tsnr(VOLUME[:-1], AFFINE, mask=MASK)
    with pytest.raises(GridMismatchError, match="g-factor has"):
        nordic_qc(
            SERIES, SERIES, AFFINE,
            gfactor=VOLUME[1:], residual_sd=VOLUME, components_removed=VOLUME,
        )  # fmt: skip
    with pytest.raises(DataError, match="no voxel of the mask has a T2"):
        t2star(0 * VOLUME, AFFINE, mask=MASK)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.031, 0.04), (7, 8), (10, 10), (108, 120), (0, 1)]
)
def test_ends_of_colour_ranges(value, expected):
    assert round_up(value) == pytest.approx(expected)


VALUES = {"standardSingle": 8.0, "nordicSingle": 11.0, "nordicOptcom": 14.0}


def tables(n_subjects):
    """Make tables in which the noise ceiling is VALUES and the rest a share of it."""
    long, paired = [], []
    for s in range(n_subjects):
        session = (f"{s:02d}", "01", "images", "n/a")
        for variant, value in VALUES.items():
            for metric, factor in (
                ("predictivity_single", 0.01),
                ("noise_ceiling_median", 1),
                ("dprime", 0.1),
                ("tsnr_median_roi", 4),
            ):
                v = (value + s) * factor
                long.append((*session, variant, metric, v, 0.8 * v, 1.2 * v, "percent"))
            kept = 100 if variant == "standardSingle" else 70
            long.append((*session, variant, "signal_kept", kept, kept - 5, kept + 5, "percent"))
            for metric, factor in (("predictivity_single", 0.01), ("noise_ceiling_median", 1)):
                for reference, other in VALUES.items():
                    head = (*session, variant, reference, metric)
                    d = (value - other) * factor
                    limits = (d, d - factor, d + 2 * factor)
                    if variant != reference:
                        paired += [(*head, *limits, m, "percent") for m in ("images", "runs")]
    return (
        pd.DataFrame(long, columns=LONG_COLUMNS),
        pd.DataFrame(paired, columns=PAIRED_COLUMNS),
    )


LIMITS = {"least_signal_kept": 80, "most_smoothness_growth": 25, "least_responsive_kept": 80}


def drawn(long, paired, group=None):
    advice = advise(long, paired, primary="nordicOptcom", limits=LIMITS)
    known = {"baseline": "standardSingle", "primary": "nordicOptcom", "limits": LIMITS}
    return variant_comparison(long, paired, advice=advice, group=group, **known)


def bar_heights(axes):
    return [p.get_height() for p in axes.patches]


def test_comparison_of_one_subject_shows_values_and_both_intervals():
    long, paired = tables(1)
    figure = drawn(long, paired)
    a, b, c, *prices = figure.axes
    np.testing.assert_allclose(bar_heights(a), [0.08, 0.11, 0.14])
    assert bar_heights(b) == [8, 11, 14]
    text = words(figure)
    for word in ("n = 1 subject (sub-00, 1 session)", "predictivity", "over runs", "NORDIC"):
        assert word in text
    assert (
        "support: NORDIC, optimal combination at a high price (D); the configured primary" in text
    )
    # What is beyond the limit is red; what nobody measured says so.
    values = {t.get_text(): t.get_color() for t in prices[0].texts if t.get_text() != "D"}
    assert values == {"100": colour_of("standardSingle"), "70": RED}
    assert [t.get_text() for t in prices[1].texts] == ["n/a"] * 3
    points = sorted(x for line in c.lines for x in line.get_xdata() if x not in (0, 1))
    assert points[0] == pytest.approx(0.02)
    assert points[-1] == pytest.approx(0.08)
    labels = c.get_yticklabels()
    assert [t.get_text() for t in labels] == [
        "no NORDIC,\none echo", "NORDIC,\none echo", "NORDIC,\noptimal combination\n(primary)",
    ]  # fmt: skip
    assert [t.get_fontweight() for t in labels] == ["normal", "normal", "bold"]


def test_values_can_be_read_on_high_and_on_empty_bars():
    long, paired = tables(1)
    empty = long["metric"] == "predictivity_single"
    long.loc[empty, ["value", "ci_low", "ci_high"]] = 0.0, np.nan, np.nan
    long.loc[(long["metric"] == "noise_ceiling_median").idxmax(), "ci_low"] = -5.0
    a, b, *_ = drawn(long, paired).axes
    assert [(t.get_text(), t.xy[1], t.get_color()) for t in b.texts[:3]] == [
        ("8", 0, "white"), ("11", 0, "white"), ("14", 0, "white"),
    ]  # fmt: skip
    assert all(t.get_color() != "white" for t in a.texts[:3])
    assert a.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("factor", "text"),
    [(0.01, ".080"), (0.1, "0.80"), (1.02, "8.2"), (10.05, "80")],
    ids=["tiny", "small", "", "large"],
)
def test_values_fit_into_their_bars(factor, text):
    long, paired = tables(1)
    long[["value", "ci_low", "ci_high"]] *= factor
    figure = drawn(long, paired)
    assert figure.axes[1].texts[0].get_text() == text


def test_comparison_of_five_subjects_shows_means_and_the_floor_of_p():
    long, paired = tables(5)
    group = subjects.group_table(long, references=["standardSingle"])
    figure = drawn(long, paired, group=group)
    assert bar_heights(figure.axes[1]) == [10, 13, 16]
    text = words(figure)
    assert "n = 5 subjects" in text
    # Two variants are tested against the baseline: twice the least p that five subjects allow.
    assert "+60 %\np = 0.125" in text
    assert "cannot go below 0.125 with 5 subjects" in text
    assert "sub-04" in text


def test_comparison_of_the_baseline_alone_has_no_differences():
    long, paired = tables(1)
    long = long[long["variant"] == "standardSingle"]
    figure = drawn(long, paired[:0])
    assert [t.get_text() for t in figure.axes[2].texts] == ["baseline", "C"]
    assert figure_bytes(figure, dpi=40)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["no NORDIC"]


def test_runs_without_ica_are_marked_with_their_number():
    long, paired = tables(2)
    for subject, count in (("00", 2.0), ("01", 1.0)):
        session = (subject, "01", "images", "n/a")
        for variant, runs in (("nordicOptcom", count), ("nordicSingle", 0.0)):
            row = (*session, variant, "ica_fallback_runs", runs, np.nan, np.nan, "count")
            long.loc[len(long)] = row
    for figure in (
        drawn(long, paired),
        variant_metrics(long),
    ):
        text = words(figure)
        assert "optimal combination stands in (NORDIC, optimal combination: 3 runs)" in text
        starred = [t.get_text() for a in figure.axes for t in a.texts if "*" in t.get_text()]
        bars = [a for a in figure.axes if a.patches]
        assert len(starred) == len(bars)
    assert "optimal combination stands in" not in words(drawn(*tables(1)))


def test_unknown_variants_keep_their_names():
    long, paired = tables(1)
    rename = {"nordicOptcom": "mine"}
    figure = drawn(long.replace(rename), paired.replace(rename))
    assert "mine" in words(figure)


def test_without_predictivity_the_noise_ceiling_is_compared_and_the_reason_said():
    long, paired = tables(1)
    rename = {"standardSingle": "nordicIca"}
    long, paired = (t[t["metric"] != "predictivity_single"].replace(rename) for t in (long, paired))
    figure = drawn(long, paired)
    assert "support no variant: no undenoised variant to predict" in words(figure)
    assert [t.get_text() for t in figure.axes[0].texts] == ["not known", "A"]
    assert "median noise ceiling" in figure.axes[2].get_xlabel()
    assert figure_bytes(figure, dpi=40)


@pytest.mark.parametrize("n_subjects", [1, 5])
def test_no_text_lies_on_another(n_subjects):
    long, paired = tables(n_subjects)
    group = subjects.group_table(long, references=["standardSingle"]) if n_subjects > 1 else None
    figure = drawn(long, paired, group)
    with style():
        FigureCanvasAgg(figure).draw()
    texts = [*figure.texts, *figure.legends[0].get_texts()]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        texts += [axes.xaxis.label, axes.yaxis.label, *ticks, *axes.texts]
    texts += figure.axes[2].get_yticklabels()
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    for i, (name, box) in enumerate(boxes):
        assert box.x0 >= 0, name
        assert box.x1 <= figure.bbox.x1, name
        for other, second in boxes[:i]:
            assert not box.padded(-1).overlaps(second.padded(-1)), (name, other)


def test_other_metrics_have_a_panel_each():
    long, _ = tables(3)
    long = long[long["metric"] != "dprime"]
    figure = variant_metrics(long)
    shown = [a for a in figure.axes if a.get_visible()]
    assert len(shown) == 1
    assert shown[0].get_title() == "Median tSNR in ROI"
    with pytest.raises(DataError, match="no further metrics"):
        variant_metrics(long[long["metric"] == "signal_kept"])
    with pytest.raises(DataError, match="no rows of noise_ceiling_median"):
        drawn(long[long["metric"] == "dprime"], long[:0])


@pytest.mark.parametrize(
    ("threshold", "said", "top"),
    [
        (19.5, "Coloured above 19.5 %, which 5 % of voxels pass by chance", 39.0),
        (70.0, "Coloured above 70 %, which", 85.0),
        (np.nan, "Coloured above 5 %; median", 10.0),
        (None, "Coloured above 5 %; median", 10.0),
    ],
)
def test_colours_of_noise_ceilings_start_where_chance_ends(threshold, said, top):
    percent = np.where(MASK, 3.0, 0)
    figure = noise_ceiling(percent, AFFINE, mask=MASK, threshold=threshold, n_slices=2, **T1W)
    assert said in words(figure)
    low, high = figure.axes[-1].get_ylim()
    assert low == (threshold if threshold and np.isfinite(threshold) else 5)
    assert high == pytest.approx(top)


def test_what_is_above_chance_is_outlined_on_the_noise_ceilings():
    percent = np.where(MASK, 3.0, 0)
    above = np.zeros(MASK.shape, bool)
    centre = [size // 2 for size in MASK.shape]
    above[tuple(slice(c - 2, c + 2) for c in centre)] = True
    known = {"mask": MASK, "threshold": 2.0, "n_slices": 3, **T1W}
    without = noise_ceiling(percent, AFFINE, **known)
    figure = noise_ceiling(percent, AFFINE, significant=above, **known)
    assert "Green outline: above chance, false discoveries controlled" in words(figure)
    nothing = noise_ceiling(percent, AFFINE, significant=np.zeros(MASK.shape, bool), **known)
    assert "Nothing is above chance" in words(nothing)
    assert "Green" not in words(without)

    def lines(drawn):
        found = [np.ravel(c.get_edgecolor())[:3] for a in drawn.axes for c in a.collections]
        return sum(np.allclose(rgb, to_rgb(GREEN), atol=0.01) for rgb in found if rgb.size == 3)

    assert (lines(without), lines(figure) >= 3) == (0, True)
    with pytest.raises(GridMismatchError, match="voxels above chance"):
        noise_ceiling(percent, AFFINE, significant=above[1:], **known)


def test_a_png_has_a_palette_and_looks_as_before(rng):
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.imshow(np.linspace(0, 1, 10000).reshape(100, 100), cmap="gray")
    axes.plot(rng.random(50) * 100, color=ORANGE)
    small = Image.open(io.BytesIO(figure_bytes(figure)))
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, dpi=DPI)
    full = np.asarray(Image.open(buffer).convert("RGB"), int)
    assert small.mode == "P"
    assert len(figure_bytes(figure)) < 0.7 * len(buffer.getvalue())
    assert small.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
    assert np.abs(full - np.asarray(small.convert("RGB"), int)).mean() < 0.5


def test_a_palette_keeps_the_rare_colours_of_a_map(rng):
    # Median cut alone made the ends of a map brown and grey: few pixels have them.
    map_ = mpl.colormaps["RdBu_r"](np.linspace(0, 1, 256))[:, :3]
    levels = np.clip(rng.normal(128, 30, (200, 200)).round(), 40, 215).astype(int)
    levels[:5, :5], levels[:5, -5:] = 255, 0
    full = np.round(255 * map_[levels]).astype(np.uint8)
    small = np.asarray(with_palette(Image.fromarray(full)).convert("RGB"), int)
    assert np.abs(full - small).max() <= 12
    assert np.abs(full - small).mean() <= 0.5


def test_a_grey_picture_on_a_page_has_few_colours(rng):
    page = np.full((200, 200), 255, np.uint8)
    page[50:150, 50:150] = rng.integers(0, 256, (100, 100))
    small = with_palette(Image.fromarray(page))
    assert len(np.unique(np.asarray(small))) <= 64


def test_a_colour_bar_beside_a_grey_picture_has_no_coarse_steps(rng):
    page = np.full((700, 700, 3), 255, np.uint8)
    page[50:450, 50:450] = np.clip(rng.normal(60, 25, (400, 400, 1)), 0, 255)
    bar = np.round(255 * mpl.colormaps["inferno"](np.linspace(0.3, 1, 256))[:, :3])
    page[100:356, 640:658] = bar[:, np.newaxis]
    small = np.asarray(with_palette(Image.fromarray(page)).convert("RGB"), int)
    assert np.abs(bar - small[100:356, 650]).max(axis=1).mean() < 4.2
