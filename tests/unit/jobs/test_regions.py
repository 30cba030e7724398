"""Which files give the regions of a subject, in the layouts that there are."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from mebold.errors import ConfigError
from mebold.jobs import configuration, region_masks, region_surfaces, regions

SCHEMA = configuration.load_schema(configuration.SCHEMA)["properties"]["rois"]


def section(**rois):
    return configuration._fill(rois, SCHEMA)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def find(rois, sub="sub-01", **more):
    options = {"table": None, "sub": sub, "space": "T1w", "voxel_mm": 1.8} | more
    return regions.find(rois, options.pop("table"), **options)


def names(found):
    return sorted((one["name"], one["category"]) for one in found)


def test_the_layouts_of_the_reference_dataset(tmp_path):
    touch(
        tmp_path / "rois",
        "sub-01/retinotopy/sub-01_space-T1w_res-1pt8_label-V1v_mask.nii.gz",
        "sub-01/retinotopy/sub-01_space-T1w_res-1pt5_label-V1v_mask.nii.gz",
        "sub-01/retinotopy/sub-01_hemi-L_space-fsnative_label-V1v_mask.func.gii",
        "sub-01/face/sub-01_space-T1w_res-1pt8_label-FFA1_mask.nii.gz",
        "sub-01/face/sub-01_space-T1w_stat-z_statmap.nii.gz",
        "sub-02/face/sub-02_space-T1w_res-1pt8_label-OFA_mask.nii.gz",
    )
    found = find(section(given=[{"path": str(tmp_path / "rois")}]))
    assert names(found) == [("FFA1", "face"), ("V1v", "retinotopy")]
    assert any("res-1pt8_label-V1v" in one["path"] for one in found)
    fine = find(section(given=[{"path": str(tmp_path / "rois")}]), voxel_mm=1.5)
    assert any("res-1pt5_label-V1v" in one["path"] for one in fine)
    touch(
        tmp_path / "atlases", "sub-01/rois/hV4.nii.gz", "sub-01/rois/lh.MT.nii", "sub-02/rois/x.nii"
    )
    path = str(tmp_path / "atlases/sub-{subject}/rois")
    older = find(section(given=[{"path": path, "category": "old"}]))
    assert names(older) == [("MT", "old"), ("hV4", "old")]
    assert {one["name"]: one["hemi"] for one in older} == {"MT": "L", "hV4": None}


def test_one_image_a_pattern_and_other_spaces(tmp_path):
    touch(
        tmp_path,
        "a/V1.nii.gz",
        "a/V2.nii.gz",
        "sub-01_space-MNI_label-X_mask.nii.gz",
        "b/p_probseg.nii",
    )
    given = [{"path": f"{tmp_path}/a/V*.nii.gz"}, {"path": f"{tmp_path}/b/p_probseg.nii"}]
    found = find(section(given=given))
    assert names(found) == [("V1", "given"), ("V2", "given"), ("pprobseg", "given")]
    assert [one["threshold"] for one in found] == [None, None, 0.5]
    image = str(tmp_path / "sub-01_space-MNI_label-X_mask.nii.gz")
    assert find(section(given=[{"path": image}])) == []
    with pytest.raises(ConfigError, match="no template is asked for"):
        find(section(atlas=[{"path": image}]))
    (atlas,) = find(section(atlas=[{"path": image}]), template="MNI")
    assert (atlas["name"], atlas["space"]) == ("X", "template")


def test_label_images_need_a_table(tmp_path):
    touch(tmp_path, "sub-01_space-T1w_desc-Wang_dseg.nii.gz")
    given = [{"path": str(tmp_path)}]
    with pytest.raises(ConfigError, match=r"dseg.nii.gz is a label image without a lookup table"):
        find(section(given=given))
    touch(tmp_path, "sub-01_space-T1w_desc-Wang_dseg.tsv")
    (one,) = find(section(given=given))
    assert one["name"] is None
    assert one["lookup"].endswith("Wang_dseg.tsv")
    assert [name.rpartition(".")[2] for name in regions.files([one])] == ["gz", "tsv"]


def test_images_of_another_subject(tmp_path):
    touch(tmp_path, "s-01/sub-02_space-T1w_label-V1_mask.nii.gz", "all/sub-02_label-V1_mask.nii.gz")
    with pytest.raises(
        ConfigError, match=r"sub-02_space-T1w_label-V1_mask.nii.gz is a region of sub-02"
    ):
        find(section(given=[{"path": f"{tmp_path}/s-{{subject}}"}]))
    together = section(given=[{"path": f"{tmp_path}/all"}])
    assert find(together) == []
    assert len(find(together, sub="sub-02")) == 1
    assert regions.absent(together, ["sub-01", "sub-02"]) == ""
    told = regions.absent(together, ["sub-01"])
    assert "all leads to images of other subjects alone, such as" in told
    assert "sub-02_label-V1_mask.nii.gz; the subjects are sub-01" in told


def test_names_that_nothing_gives_are_told_before_any_job(tmp_path):
    touch(tmp_path, "own/sub-01/V1.nii.gz")
    given = [{"path": f"{tmp_path}/own"}]
    table = pd.DataFrame([{"name": "early", "path": "n/a", "category": "x", "source": "visual"}])

    def check(**rois):
        rois = section(given=given, **rois)
        regions.check_names(rois, table, find(rois, table=table), sub="sub-01")

    best = [{"name": "top", "of": "V1", "voxels": 5}]
    check(expressions={"A": "V1 - visual", "B": "A | top | early | FFA"}, best=best,
          localizer={"regions": [{"name": "FFA", "contrast": "faces"}]})  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"A: 'V1 \| V2' needs V2, which is no region of sub-01; there"
    ):
        check(expressions={"A": "V1 | V2"})
    with pytest.raises(ConfigError, match=r"`rois.best`: top: there is no region V2 of sub-01"):
        check(best=[best[0] | {"of": "V2"}])
    check(expressions={"A": "V1 | V2"}, missing="leave_out")
    # Names inside of files are not known yet.
    touch(tmp_path, "own/sub-01/areas.nii.gz", "own/areas.tsv")
    lookup = [
        {"path": f"{tmp_path}/own/sub-01/areas.nii.gz", "lookup": f"{tmp_path}/own/areas.tsv"}
    ]
    rois = section(given=lookup, expressions={"A": "V1 | V2"})
    regions.check_names(rois, None, find(rois), sub="sub-01")


def test_regions_of_surfaces(tmp_path):
    touch(tmp_path, "fs/sub-01/surf/lh.white", "fs/sub-01/label/lh.V1_exvivo.thresh.label")
    touch(tmp_path, "fs/sub-01/label/rh.aparc.annot", "fs/sub-01/label/lh.x.ctab")
    touch(tmp_path, "rois/sub-01/face/sub-01_hemi-L_space-fsnative_label-FFA1_mask.func.gii")
    touch(tmp_path, "rois/sub-01/face/sub-01_hemi-L_space-fsaverage_label-OFA_mask.func.gii")
    folder = f"{tmp_path}/fs/sub-{{subject}}"
    listed = [{"path": f"{folder}/label"}, {"path": f"{tmp_path}/rois"}]
    rois = section(surface={"folder": folder, "regions": listed})
    assert names(find(rois)) == [
        ("FFA1", "face"), ("V1exvivothresh", "given"), ("aparc", "given"),
    ]  # fmt: skip
    assert {one["space"] for one in find(rois)} == {"surface"}
    assert find(rois, sub="sub-02") == []  # a subject without surfaces
    assert [path.rpartition("/")[2] for path in region_surfaces.files(rois, "sub-01", "pial")] == [
        "lh.pial", "rh.pial",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="surfaces lie in the space of the T1w"):
        find(rois, space="boldref")
    assert regions.absent(rois, ["sub-01", "sub-02"]) == ""
    assert "leads to no image for any subject" in regions.absent(rois, ["sub-02"])
    bare = section(surface={"folder": folder})
    assert "sub-{subject} is no folder for any subject" in regions.absent(bare, ["sub-02"])


def test_maps_of_localizers(tmp_path):
    names_ = [f"sub-01/ses-01/func/sub-01_contrast-{c}_stat-z_statmap.nii.gz" for c in "ab"]
    touch(tmp_path, *names_)
    item = {"name": "FFA1", "map": f"{tmp_path}/sub-{{subject}}/ses-*/func/*contrast-a_*.nii.gz"}
    (found,) = regions.find_localizers(section(localizer={"regions": [item]}), "sub-01")
    assert found["path"] == str(tmp_path / names_[0])
    assert (found["threshold"], found["parcel"], found["category"]) == (3.1, None, "selectivity")
    assert regions.find_localizers(section(localizer={"regions": [item]}), "sub-02") == []
    short = item["map"].replace("contrast-a_", "contrast-")
    both = section(localizer={"regions": [item | {"map": short}]})
    with pytest.raises(ConfigError, match=r"FFA1: .* leads to 2 images of sub-01"):
        regions.find_localizers(both, "sub-01")
    assert "leads to no image for any subject" in regions.absent(both, ["sub-02"])


README = Path(__file__).parents[3] / "config" / "README.md"
BLOCKS = re.findall(r"```yaml\n(rois:\n.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_the_page_are_accepted(block):
    needed = {"bids_dir": "raw", "output_dir": "out", **yaml.safe_load(block)}
    configuration.complete(needed, configuration.load_schema(configuration.SCHEMA))


def test_areas_are_cut_by_maps_of_receptive_fields(tmp_path, monkeypatch):
    """The page's example of retinotopy: areas by their borders, R2 above 0.1, within 8 degrees."""
    (block,) = [one for one in BLOCKS if "prfR2" in one]
    rois = section(**yaml.safe_load(block)["rois"])
    place = np.indices((10, 10, 10))
    held = {"areas": 1 + (place[0] > 2), "prfR2": 0.3 * (place[1] < 5)}
    held["beyond8"] = np.where(place[2] > 4, 12.0, np.nan)
    (tmp_path / "prf/01").mkdir(parents=True)
    for name, values in held.items():
        image = nib.Nifti1Image(values.astype(np.float32), np.eye(4))
        nib.save(image, tmp_path / f"prf/01/{name}.nii.gz")
    (tmp_path / "areas.tsv").write_text("index\tname\n1\tV1v\n3\tV2v\n2\tV1d\n")
    monkeypatch.chdir(tmp_path)
    grid = region_masks.Grid(np.ones((10, 10, 10), bool), np.eye(4), {"T1w": lambda: None})
    found = region_masks.gather(find(rois), grid, least_inside=0.5)
    how = {"leave_out": False, "owner": "sub-01"}
    made, _ = region_masks.combined(rois["expressions"], found, **how)
    np.testing.assert_array_equal(made["V1"].mask, (place[1] < 5) & (place[2] <= 4))


def test_rows_of_the_list():
    rows = [
        {
            "name": "V1",
            "category": "x",
            "source": "mask",
            "path": "{subject}/V1.nii",
            "subject": "01",
        },
        {"name": "V2", "category": "x", "source": "atlas", "path": "a.nii", "labels": "2,3"},
        {"name": "vis", "category": "y", "source": "visual", "path": "n/a"},
    ]
    table = pd.DataFrame(rows).fillna("n/a")
    found = find(section(), table=table)
    assert [(one["name"], one["path"], one["labels"]) for one in found] == [
        ("V1", "01/V1.nii", []),
        ("V2", "a.nii", [2, 3]),
    ]
    assert [one["name"] for one in find(section(), table=table, sub="sub-02")] == ["V2"]


def test_the_section_in_its_forms():
    needed = {"bids_dir": "raw", "output_dir": "out"}
    schema = configuration.load_schema(configuration.SCHEMA)
    assert configuration.complete(needed, schema)["rois"]["derived"] == list(regions.DERIVED)
    assert configuration.complete(needed | {"rois": None}, schema)["rois"]["table"] is None
    with pytest.raises(ConfigError, match=r"`rois.table`: x.tsv is no file"):
        configuration.complete(needed | {"rois": "x.tsv"}, schema)
    best = {"best": [{"name": "A", "of": "brain", "voxels": "5"}], "thresholds": ["7.5"]}
    assert configuration.complete(needed | {"rois": best}, schema)["rois"]["thresholds"] == [7.5]
    assert configuration.complete(needed | {"rois": best}, schema)["rois"]["best"][0]["by"] == "r2"


@pytest.mark.parametrize(
    ("rois", "said"),
    [
        ({"expressions": {"A": "B +"}}, "A: 'B [+]' cannot be read"),
        ({"expressions": {"A": "B", "B": "A"}}, "A, B are made of each other"),
        ({"expressions": {"brain": "A"}}, "brain is defined twice"),
        ({"best": [{"name": n, "of": o, "voxels": 1} for n, o in ("AB", "BC")]}, "A is made of B"),
        ({"given": [{"paht": "x"}]}, "Unknown configuration key `rois.given.0.paht`.*path"),
        ({"given": [{}]}, "'path' is a required property"),
        ({"surface": {"regions": [{"path": "x"}]}}, "without `rois.surface.folder`"),
        ({"surface": {"spaces": ["fsnative"]}}, "only fsaverage5 is possible"),
    ],
)
def test_what_the_section_refuses(rois, said):
    with pytest.raises(ConfigError, match=said):
        configuration.complete(
            {"bids_dir": "raw", "output_dir": "out", "rois": rois},
            configuration.load_schema(configuration.SCHEMA),
        )


def test_regions_may_not_be_read_from_where_they_are_written(tmp_path):
    rois = {"given": [{"path": str(tmp_path / "out/rois/sub-{subject}")}]}
    with pytest.raises(ConfigError, match="into which masks are written"):
        configuration.complete(
            {"bids_dir": "raw", "output_dir": str(tmp_path / "out"), "rois": rois},
            configuration.load_schema(configuration.SCHEMA),
        )
