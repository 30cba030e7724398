"""Carpet and shared variance: what stands where, and what is left out."""

import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError
from mebold.figures.confounds import carpet, shared


def table(n, **columns):
    known = {"global_signal": np.full(n, 500.0), "std_dvars": np.ones(n)}
    return pd.DataFrame(known | {"framewise_displacement": np.zeros(n)} | columns)


def tissues(n):
    third = np.arange(n) * 3 // n
    return {name: third == i for i, name in enumerate(("grey matter", "white matter", "CSF"))}


def image_of(figure):
    return figure.axes[3].images[0].get_array()


def test_a_jump_of_one_tissue_is_seen_there_and_only_there(rng):
    series = 500 + rng.standard_normal((900, 60)).astype(np.float32)
    series[:300, 30] += 30
    rows = image_of(carpet(series, tissues(900), table(60), tr=1.0))
    assert rows.shape == (240, 60)
    struck = np.abs(rows[:, 30]) > 3
    assert struck[:80].all()
    assert not struck[80:].any()


def test_slow_drifts_and_what_is_not_steady_set_no_colours(rng):
    series = 500 + rng.standard_normal((900, 60)).astype(np.float32)
    drifting = series + np.linspace(0, 200, 60, dtype=np.float32)
    plain = carpet(series, tissues(900), table(60), tr=1.0)
    rows = image_of(carpet(drifting, tissues(900), table(60), tr=1.0))
    assert np.abs(rows - image_of(plain)).max() < 0.5
    bright = series.copy()
    bright[:, :3] += 300
    figure = carpet(bright, tissues(900), table(60), tr=1.0, non_steady=3)
    limits = figure.axes[3].images[0].get_clim()
    assert limits[1] == pytest.approx(plain.axes[3].images[0].get_clim()[1], rel=0.1)
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[:3]).all()


def test_constant_voxels_and_absent_tissues_are_no_error(rng):
    series = np.full((30, 40), 500, np.float32)
    absent = {"grey matter": np.ones(30, bool), "CSF": np.zeros(30, bool)}
    rows = image_of(carpet(series, absent, table(40), tr=2.0))
    assert (rows.shape, np.abs(rows).max()) == ((30, 40), 0)


def test_a_brain_without_classes_is_one_block(rng):
    series = 500 + rng.standard_normal((300, 40)).astype(np.float32)
    figure = carpet(series, {"brain": np.ones(300, bool)}, table(40), tr=2.0)
    assert [text.get_text() for text in figure.axes[3].texts] == ["brain"]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="59 rows of confounds"):
        carpet(np.zeros((9, 60)), tissues(9), table(59), tr=1.0)
    with pytest.raises(DataError, match="no voxel"):
        carpet(np.zeros((9, 60)), {"CSF": np.zeros(9, bool)}, table(60), tr=1.0)


def test_correlations_and_kept_components_are_those_of_the_table(rng):
    a, b = rng.standard_normal((2, 80))
    columns = {"global_signal": a, "trans_x": -a, "trans_y": b, "a_comp_cor_00": a}
    columns["framewise_displacement"] = np.r_[np.nan, np.abs(b[1:])]
    figure = shared(table(80, **columns), {"combined": [(0.4, True), (0.2, True), (0.1, False)]})
    left, right = figure.axes[:2]
    names = [label.get_text() for label in right.get_xticklabels()]
    found = right.images[0].get_array()
    place = names.index
    assert found[place("global_signal"), place("trans_x")] == pytest.approx(-1)
    assert found[place("global_signal"), place("a_comp_cor_00")] == pytest.approx(1)
    assert abs(found[place("global_signal"), place("trans_y")]) < 0.4
    # A regressor that never changes correlates with nothing.
    assert found[place("std_dvars")].tolist() == [0] * len(names)
    assert left.lines[1].get_xydata()[0] == pytest.approx([2, 60])
    assert left.get_legend().get_texts()[0].get_text() == "combined: 2 kept"
