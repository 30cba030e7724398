"""Masks from files to the folders in which the clients of the reference dataset look for them."""

import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.errors import ConfigError, DataError
from mebold.files import arrays, model, series, tables
from mebold.jobs import localized_regions, region_data, region_masks, region_table
from mebold.noiseceiling import ceilings
from mebold.noiseceiling.sums import Selection

SHAPE = (8, 9, 10)
GRID = np.diag([-1.8, 1.8, 1.8, 1.0])
SETTINGS = {
    "expressions": {},
    "best": [],
    "derived": ["brain", "greyMatter", "visual", "reliable"],
    "reliable": {"above": "fdr", "least_r2": 0},
    "missing": "error",
}


def image(path, values, affine=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(values), affine), path)
    return str(path)


def box(*limits):
    mask = np.zeros(SHAPE, np.uint8)
    mask[tuple(slice(*pair) for pair in limits)] = 1
    return mask


def entry(path, name, **more):
    rest = {"category": "x", "labels": [], "lookup": None, "threshold": None, "hemi": None}
    return rest | {"path": path, "name": name, "space": "output"} | more


def grid(brain=None):
    brain = np.ones(SHAPE, bool) if brain is None else brain
    return region_masks.Grid(brain, GRID, {"output": lambda: None, "T1w": lambda: None})


def gather(entries, **more):
    return region_masks.gather(entries, grid(**more), least_inside=0.5)


def about(**keys):
    return {"GeneratedBy": [{"Name": "mebold"}], **keys}


def test_hemispheres_are_joined_and_doubles_refused(tmp_path):
    left = image(tmp_path / "lh.MT.nii", box((0, 2), (0, 2), (0, 2)))
    right = image(tmp_path / "rh.MT.nii", box((5, 7), (0, 2), (0, 2)))
    both = [entry(left, "MT", hemi="L"), entry(right, "MT", hemi="R")]
    region = gather(both)["MT"]
    assert region.mask.sum() == 16
    assert region.notes == ["two hemispheres joined"]
    assert region.sources == [left, right]
    with pytest.raises(ConfigError, match=r"region MT is given twice, by .*lh.MT.nii and .*rh.MT"):
        gather([entry(left, "MT"), entry(right, "MT")])


def test_masks_of_another_subject_and_empty_ones_are_named(tmp_path):
    brain = np.zeros(SHAPE, bool)
    brain[:4] = True
    path = image(tmp_path / "FFA1.nii", box((3, 8), (0, 2), (0, 2)))
    with pytest.raises(DataError, match=r"region FFA1: 20 % of .*FFA1.nii lie in the brain"):
        gather([entry(path, "FFA1")], brain=brain)
    empty = image(tmp_path / "OFA.nii", np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match=r"region OFA is empty: .*OFA.nii"):
        gather([entry(empty, "OFA")])


def test_label_images_and_their_tables(tmp_path):
    path = image(tmp_path / "a_dseg.nii", box((0, 4)) + box((0, 2)).astype(np.int16))
    (tmp_path / "a_dseg.tsv").write_text("index\tname\n1\tV2\n2\tV1\n9\tV9\n")
    found = gather([entry(path, None, lookup=str(tmp_path / "a_dseg.tsv"))])
    assert {name: int(one.mask.sum()) for name, one in found.items()} == {"V2": 180, "V1": 180}
    listed = gather([entry(path, "V1", labels=[2])])
    np.testing.assert_array_equal(listed["V1"].mask, found["V1"].mask)


def test_the_client_of_the_reference_dataset_finds_the_masks(tmp_path):
    """Its contract: <sub>/<category>/<sub>_space-T1w_res-1pt8_label-<ROI>_mask.nii.gz."""
    regions = gather([entry(image(tmp_path / "a.nii", box((0, 4))), "FFA1", category="face")])
    made, _ = region_masks.combined({"EVC": "FFA1"}, regions, leave_out=False, owner="sub-01")
    folder = tmp_path / "rois/sub-01"
    where = {"prefix": "sub-01_space-T1w", "about": about, "older": tmp_path / "old"}
    region_masks.write(regions | made, folder, GRID, **where)
    name = re.compile(r"sub-01_space-T1w_res-1pt8_label-([A-Za-z0-9]+)_mask\.nii\.gz")
    listed = {
        (path.parent.name, name.fullmatch(path.name)[1]) for path in folder.glob("*/*_mask.nii.gz")
    }
    assert listed == {("face", "FFA1"), ("combined", "EVC")}
    path = folder / "face/sub-01_space-T1w_res-1pt8_label-FFA1_mask.nii.gz"
    loaded = nib.load(path)
    np.testing.assert_array_equal(np.asarray(loaded.dataobj) > 0, regions["FFA1"].mask)
    np.testing.assert_allclose(loaded.affine, GRID, atol=1e-5)
    said = tables.read_json(tables.sidecar(path))
    assert said["Type"] == "ROI"
    assert said["Resolution"].startswith("1.8 x 1.8 x 1.8 mm")
    assert sorted(p.name for p in (tmp_path / "old").glob("*.nii.gz")) == [
        "EVC.nii.gz",
        "FFA1.nii.gz",
    ]


def test_masks_of_an_earlier_list_go_and_those_of_others_stay(tmp_path):
    regions = gather([entry(image(tmp_path / "a.nii", box((0, 4))), "FFA1")])
    where = {"prefix": "sub-01_space-T1w", "about": about}
    region_masks.write(regions, tmp_path / "s", GRID, **where)
    foreign = tmp_path / "s/x/sub-01_space-T1w_res-1pt8_label-PPA_mask.nii.gz"
    image(foreign, box((0, 2)))
    renamed = {"OFA": regions["FFA1"]}
    region_masks.write(renamed, tmp_path / "s", GRID, **where)
    left = sorted(path.name for path in (tmp_path / "s/x").glob("*"))
    assert [name.split("label-")[1] for name in left] == [
        "OFA_mask.json", "OFA_mask.nii.gz", "PPA_mask.nii.gz",
    ]  # fmt: skip


def contrast(path, name, **more):
    rest = {"parcel": None, "threshold": 3.1, "least_voxels": 5, "largest_cluster": True}
    return rest | {"name": name, "path": path, "category": "face", "fitted": False} | more


def test_localizers_find_regions_in_their_parcels(tmp_path):
    values = (5.0 * box((0, 6), (0, 3)) + 2.0 * box((6, 8))).astype(np.float32)
    values[0] = np.nan
    path = image(tmp_path / "faces_z.nii", values)
    regions = {"fusiform": region_masks.Region(box((0, 4)) > 0, "parcel", sources=["p"])}
    items = [
        contrast(path, "FFA1", parcel="fusiform", set="faces"),
        contrast(path, "OFA", set="faces"),
        contrast(path, "FFA2", threshold=9.0),
    ]
    found, left_out = localized_regions.localized(items, grid(), regions, leave_out=False)
    np.testing.assert_array_equal(found["FFA1"].mask, box((1, 4), (0, 3)) > 0)
    np.testing.assert_array_equal(found["OFA"].mask, box((4, 6), (0, 3)) > 0)  # ties: the first
    assert found["FFA1"].sources == [path]
    assert found["FFA1"].notes == ["above 3.1 in fusiform"]
    assert left_out["FFA2"].startswith("0 voxels above 9 (highest value 5.00)")
    table = region_masks.listed(regions | found, left_out).set_index("roi")
    assert table.loc["FFA1", "n_voxels"] == 90
    assert table.loc["FFA2", "note"] == left_out["FFA2"]
    lost = [contrast(path, "PPA", parcel="parahipp")]
    with pytest.raises(ConfigError, match="PPA: its parcel parahipp is no given region; there are"):
        localized_regions.localized(lost, grid(), regions, leave_out=False)
    found, left_out = localized_regions.localized(lost, grid(), regions, leave_out=True)
    assert (found, left_out) == ({}, {"PPA": "there is no parcel parahipp"})
    with pytest.raises(
        ConfigError, match=r"region fusiform is given twice, by .* by `rois.localizer` \("
    ):
        localized_regions.localized([contrast(path, "fusiform")], grid(), regions, leave_out=True)


def test_fitted_localizers_have_their_selectivity(tmp_path):
    """Found in z, measured where they were not found; a contrast that no run has is told."""
    mask = np.zeros(SHAPE, bool)
    mask[:7] = True
    there = (box((1, 4), (0, 3)) > 0)[mask]
    maps = {"z.faces": 8.0 * there, "effect.faces": 3.0 * there, "dof.faces": np.array(9.0)}
    for half, effect in (("1", 1.0), ("2", 2.0)):
        maps |= {f"z.faces.{half}": 5.0 * there, f"effect.faces.{half}": effect * there}
    path = tmp_path / "sub-01_task-floc_contrasts.npz"
    arrays.save_named(path, **{key: np.asarray(v, np.float32) for key, v in maps.items()})
    item = contrast(str(path), "FFA1", fitted=True, contrast="faces")
    items = [item, item | {"name": "VWFA1", "contrast": "words"}]
    how = {"leave_out": False, "mask": mask}
    found, left_out = localized_regions.localized(items, grid(), {}, **how)
    np.testing.assert_array_equal(found["FFA1"].mask, box((1, 4), (0, 3)) > 0)
    assert found["FFA1"].selectivity == 1.5
    assert found["FFA1"].sources == ["contrast faces (sub-01_task-floc)"]
    assert left_out["VWFA1"].startswith("no run has all conditions of contrast words")
    table = region_masks.listed(found, left_out).set_index("roi")
    assert table.loc["FFA1", "selectivity"] == 1.5
    region_masks.write(found, tmp_path / "s", GRID, prefix="sub-01_space-T1w", about=about)
    (said,) = (tmp_path / "s/face").glob("*FFA1_mask.json")
    assert tables.read_json(said)["Selectivity"] == 1.5
    alone = {key: values for key, values in maps.items() if not key.endswith(".2")}
    arrays.save_named(path, **{key: np.asarray(v, np.float32) for key, v in alone.items()})
    found, _ = localized_regions.localized([item], grid(), {}, **how)
    assert np.isnan(found["FFA1"].selectivity)
    assert found["FFA1"].notes[-1] == "no selectivity: one run, nothing to measure it in"


def test_packing_keeps_regions(rng):
    regions = {"V1": region_masks.Region(rng.random(SHAPE) < 0.3, "retinotopy")}
    back = region_masks.unpacked(region_masks.packed(regions), SHAPE)
    np.testing.assert_array_equal(back["V1"].mask, regions["V1"].mask)
    assert back["V1"].category == "retinotopy"


def of_data(given=None, *, visual=True, dseg=None, significant=None, **settings):
    mask = np.ones(SHAPE, bool)
    n = mask.sum()
    found = significant if significant is not None else np.arange(n) < 50
    data = {"significant": found, "r2": np.arange(n) % 97.0, "nc": np.arange(n) % 89.0}
    scored = {"visual": [box((2, 6)) > 0], "score": [np.arange(n) * 1.0]} if visual else {}
    return region_data.make(
        given or {}, mask=mask, brain=mask, dseg=np.zeros(SHAPE) if dseg is None else dseg,
        data=data | {"threshold": 40.0}, visual=scored.get("visual", []),
        score=scored.get("score", []), listed={}, settings=SETTINGS | settings, owner="sub-01",
    )  # fmt: skip


def test_a_dataset_without_any_region_has_some():
    made, left_out = of_data(visual=False)
    assert {name: one.category for name, one in made.items()} == {
        "brain": "derived", "reliable": "data",
    }  # fmt: skip
    assert made["brain"].mask.all()
    assert made["reliable"].mask.sum() == 50
    assert left_out == {}
    grey, _ = of_data(dseg=box((0, 3)))
    assert grey["greyMatter"].mask.sum() == 3 * 9 * 10
    assert grey["visual"].mask.sum() == 4 * 9 * 10


def test_reliable_by_the_threshold_of_chance():
    made, _ = of_data(reliable={"above": "chance", "least_r2": 90})
    n = np.arange(np.prod(SHAPE))
    np.testing.assert_array_equal(made["reliable"].mask.ravel(), (n % 89 > 40) & (n % 97 >= 90))


def test_best_voxels_and_expressions_feed_each_other():
    v1 = region_masks.Region(box((0, 4)) > 0, "x")
    best = [{"name": "top", "of": "both", "voxels": 30, "by": "r2"}]
    texts = {"both": "V1 & visual", "rest": "V1 - top", "none": "V1 & reliable - V1"}
    made, _ = of_data({"V1": v1}, best=best, expressions=texts)
    assert made["both"].mask.sum() == 180
    assert made["top"].mask.sum() == 30
    assert (made["top"].mask & ~made["both"].mask).sum() == 0
    assert made["rest"].mask.sum() == 360 - 30
    assert made["none"].mask.sum() == 0  # a result, of voxels that the data chose
    with pytest.raises(ConfigError, match="top: there is no region both of sub-01"):
        of_data(best=best)
    made, left_out = of_data(best=best, missing="leave_out")
    assert left_out == {"top": "there is no region both"}


def test_names_that_are_taken():
    given = {"visual": region_masks.Region(box((0, 4)) > 0, "x", sources=["v.nii"])}
    with pytest.raises(ConfigError, match=r"region visual of sub-01 is given by \['v.nii'\]"):
        of_data(given)


@pytest.fixture
def study(tmp_path, rng):
    """A fit of 40 images shown twice, with its maps, in the folders of an output."""
    mask = np.ones(SHAPE, bool)
    mask[0] = False  # voxels of regions without any series
    n = mask.sum()
    labels = np.tile(np.arange(40), 2)
    betas = 2 * rng.standard_normal((n, 40))[:, labels] + rng.standard_normal((n, 80))
    trials = pd.DataFrame({"label": [f"im{i}" for i in labels], "run": np.repeat(["01", "02"], 40)})
    (ceiling,) = ceilings.of_trials(
        [betas], [trials], selections={"": Selection()}, zscore="run"
    ).values()
    folder = tmp_path / "out/glmsingle-tedana/sub-01/ses-01/func"
    stem = "sub-01_ses-01_task-images"
    known = np.arange(n) % 10 > 0
    grid = {"mask": mask, "affine": GRID}
    name = f"{stem}_desc-coverage_mask.nii.gz"
    folder.mkdir(parents=True)
    series.save_map(folder / name, known, **grid, dtype=np.uint8, metadata={})
    about = {"CoverageMask": name}
    path = folder / f"{stem}_space-T1w_desc-Noiseceiling_statmap.nii.gz"
    series.save_map(path, np.where(known, ceiling.nc, 0), **grid, metadata=about)
    above = folder / f"{stem}_space-T1w_desc-NoiseceilingFDR_mask.nii.gz"
    series.save_map(above, ceiling.nc > 70, **grid, dtype=np.uint8, metadata=about)
    fit, listed = folder / f"{stem}_space-T1w_desc-GLMsingle_model.h5", folder / "trials.tsv"
    r2 = np.where(known, 50.0, np.nan)
    model.write(fit, {"betas": betas, "r2": r2}, mask=mask, affine=GRID)
    tables.write_tsv(listed, trials)
    return path, {str(fit): str(listed)}, mask, known, ceiling.nc


def test_the_table_equals_a_direct_computation(tmp_path, study):
    path, models, mask, known, nc = study
    regions = {
        "V1": region_masks.Region(box((0, 4)) > 0, "x"),
        "V2": region_masks.Region(~mask, "x"),
    }
    settings = {"thresholds": [60, 75], "n_bootstrap": 50}
    summary = region_table.Summary(regions, mask, settings=settings, seed=0)
    output = str(tmp_path / "out")
    summary.add(str(path), output=output)
    zscores = {"session": "run", "subject": "session"}
    summary.add_intervals(models, output=output, zscores=zscores, groups={"4rep": 4})
    metrics = {"session": ["01"], "variant": ["nordicOptcom"], "metric": ["predictivity"]}
    summary.add_predictivity(pd.DataFrame(metrics | {"value": [0.3]}))
    table = summary.table(subject="01").set_index("roi")
    row = table.loc["V1"]
    assert (row["subject"], row["session"], row["variant"]) == ("01", "01", "nordicOptcom")
    inside = (box((0, 4)) > 0)[mask] & known
    values = nc[inside].astype(np.float32)
    assert row["n_voxels"] == 4 * 9 * 10
    assert row["n_data"] == inside.sum()
    assert row["median"] == pytest.approx(np.median(values), rel=1e-5)
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert row["p90"] == pytest.approx(np.percentile(values, 90), rel=1e-5)
    assert row["share_above_75"] == pytest.approx((values > 75).mean())
    assert row["share_significant"] == pytest.approx((values > 70).mean())
    assert row["ci_low"] < row["median"] < row["ci_high"]
    assert 1 < row["ci_high"] - row["ci_low"] < 30
    assert tuple(table.loc["V2", ["n_voxels", "n_data"]]) == (90, 0)
    assert np.isnan(table.loc["V2", "median"])
    assert table["predictivity"].isna().all()  # of the region `visual` alone


def test_figures_show_the_primary_variant_over_all_sessions():
    settings = {"thresholds": [10], "n_bootstrap": 5}
    summary = region_table.Summary({}, np.ones(SHAPE, bool), settings=settings, seed=0)
    table = summary.table(subject="01")
    assert list(table)[:4] == ["subject", "session", "roi", "category"]
    assert set(region_table.meanings(settings)) <= set(table)
