"""ROI masks on the right grid, cut from atlases, and their tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from mebold.errors import ConfigError, DataError, GridMismatchError
from mebold.rois.masks import check_grid, masks_from_labels, roi_vector
from mebold.rois.table import TABLE_COLUMNS, check_list, parse_labels, roi_table

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "rois.schema.yaml"


def grid(origin=(0.0, 0.0, 0.0), size=1.8):
    affine = np.diag([-size, size, size, 1])
    affine[:3, 3] = origin
    return affine


def check(shape, affine):
    check_grid(shape, affine, (10, 12, 14), grid(), name="FFA1.nii.gz", reference_name="nc.nii.gz")


def test_equal_grids_pass_with_rounding():
    check((10, 12, 14), grid() + 1e-6)
    check((10, 12, 14, 1), grid())


@pytest.mark.parametrize(
    ("shape", "affine", "words"),
    [
        ((10, 12, 15), grid(), "10 x 12 x 15 voxels of 1.8 x 1.8 x 1.8 mm"),
        ((10, 12, 14), grid(size=1.5), "10 x 12 x 14 voxels of 1.5 x 1.5 x 1.5 mm"),
        ((10, 12, 14), grid((0, 0.5, 0)), "0.5 mm apart"),
        ((10, 12, 14), grid() @ np.diag([-1, 1, 1, 1]), "mm apart"),
    ],
)
def test_other_grids_are_refused_with_both_described(shape, affine, words):
    with pytest.raises(GridMismatchError) as caught:
        check(shape, affine)
    message = str(caught.value)
    assert "FFA1.nii.gz is on another grid than nc.nii.gz" in message
    assert words in message
    assert "10 x 12 x 14 voxels of 1.8 x 1.8 x 1.8 mm, first voxel at (0.00, 0.00, 0.00)" in message


def test_roi_vector_follows_c_order(rng):
    mask = rng.random((4, 5, 6)) < 0.5
    roi = rng.random((4, 5, 6)) < 0.4
    vector = roi_vector(roi.astype(np.uint8), mask, name="V1")
    np.testing.assert_array_equal(vector, roi[mask])
    with pytest.raises(DataError, match=r"ROI V1 \(\d+ voxels\) has no voxel inside"):
        roi_vector(~mask, mask, name="V1")
    with pytest.raises(GridMismatchError, match="ROI V1 has"):
        roi_vector(roi[:3], mask, name="V1")


def test_labels_are_cut_and_joined():
    atlas = np.array([[[0, 1], [2, 3]]])
    masks = masks_from_labels(atlas, {"V1": [1, 2], "V2": 3}, name="atlas.nii.gz")
    np.testing.assert_array_equal(masks["V1"], [[[False, True], [True, False]]])
    np.testing.assert_array_equal(masks["V2"], [[[False, False], [False, True]]])


def test_bad_atlases_are_named():
    with pytest.raises(
        DataError, match=r"ROI V3: label \[7\] is not in a.nii.gz, which holds 1, 2"
    ):
        masks_from_labels(np.array([[[0, 1, 2]]]), {"V3": 7}, name="a.nii.gz")
    with pytest.raises(DataError, match="not whole numbers"):
        masks_from_labels(np.array([[[0, 1.5]]]), {"V3": 1}, name="a.nii.gz")


def test_table_values(rng):
    values = rng.gamma(2, 5, 300)
    other = values * 2
    other[0] = np.nan
    member = {"V1": np.arange(300) < 100, "FFA": np.arange(300) >= 280}
    table = roi_table(
        {"Noiseceiling": values, "Noiseceiling4rep": other}, member,
        categories={"V1": "retinotopy"}, variant="nordicOptcom",
    )  # fmt: skip
    assert list(table) == TABLE_COLUMNS
    assert len(table) == 4
    row = table.iloc[0]
    assert (row["roi"], row["category"], row["n_voxels"]) == ("V1", "retinotopy", 100)
    assert row["n_data"] == 100
    assert np.isnan(row["share_significant"])
    assert row["median"] == pytest.approx(np.median(values[:100]))
    assert row["mean"] == pytest.approx(values[:100].mean())
    assert row["p90"] == pytest.approx(np.percentile(values[:100], 90))
    assert tuple(table.loc[1, ["n_voxels", "n_data"]]) == (100, 99)
    assert table.iloc[2]["category"] == "n/a"
    assert set(table["variant"]) == {"nordicOptcom"}


def test_shares_are_of_voxels_with_data():
    values = np.array([5.0, 15, 25, np.nan, 40])
    above = {"Noiseceiling": np.array([0, 1, 1, 1, 0], bool)}
    table = roi_table(
        values, {"V1": np.ones(5, bool)}, thresholds=[10, 20.5], significant=above,
        n_voxels={"V1": 9},
    )  # fmt: skip
    row = table.iloc[0]
    assert (row["n_voxels"], row["n_data"]) == (9, 4)
    assert (row["share_above_10"], row["share_above_20.5"]) == (0.75, 0.5)
    assert row["share_significant"] == 0.5


def test_one_map_and_empty_rois():
    table = roi_table(np.full(5, np.nan), {"V1": np.ones(5, bool)})
    assert table.loc[0, "map"] == "Noiseceiling"
    assert tuple(table.loc[0, ["n_voxels", "n_data"]]) == (5, 0)
    assert np.isnan(table.loc[0, "median"])
    with pytest.raises(DataError, match=r"ROI V1 has \(4,\) entries, map Noiseceiling \(5,\)"):
        roi_table(np.ones(5), {"V1": np.ones(4, bool)})


def test_label_cells():
    assert parse_labels("1,2, 101") == [1, 2, 101]
    assert parse_labels(7.0) == [7]
    assert parse_labels("n/a") == parse_labels(float("nan")) == []
    with pytest.raises(ConfigError, match="expected whole numbers with commas"):
        parse_labels("1;2")


def test_list_is_checked_row_against_row():
    row = {"name": "V1", "category": "retinotopy", "source": "mask", "path": "a.nii.gz"}
    check_list(pd.DataFrame([row]))
    with pytest.raises(ConfigError, match="'V1' stands in more than one row"):
        check_list(pd.DataFrame([row, row]))
    with pytest.raises(ConfigError, match="V1 comes from an atlas but names no labels"):
        check_list(pd.DataFrame([row | {"source": "atlas"}]))
    with pytest.raises(ConfigError, match=r"V1 has labels \[3\] but its source is 'mask'"):
        check_list(pd.DataFrame([row | {"labels": "3"}]))


def test_same_name_for_two_subjects_is_no_repeat():
    row = {"name": "V1", "category": "retinotopy", "source": "mask", "path": "a.nii.gz"}
    check_list(pd.DataFrame([row | {"subject": s} for s in ("01", "02")]))


def test_schema_accepts_rows_and_refuses_typing_errors():
    schema = Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    row = {"name": "FFA1", "category": "face", "source": "mask", "path": "x.nii.gz"}
    assert schema.is_valid(row)
    assert schema.is_valid(row | {"source": "atlas", "labels": "1,2", "subject": "01"})
    for wrong in ({"source": "file"}, {"name": "FFA-1"}, {"colour": "red"}):
        assert not schema.is_valid(row | wrong)
    assert not schema.is_valid({"name": "FFA1"})
