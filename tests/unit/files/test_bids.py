"""Names: order of entities, labels as written, and the names that readers of our output expect."""

import warnings

import pytest

from mebold.errors import MetadataError
from mebold.files import bids, datasets
from mebold.jobs import sidecar

RAW = "sub-01_ses-02_task-images_acq-mb3_dir-AP_run-01_echo-2_part-phase_bold.nii.gz"


def test_entities_are_put_into_bids_order_whatever_the_order_given():
    entities = {"part": "phase", "echo": "2", "run": "01", "direction": "AP", "subject": "01",
                "acquisition": "mb3", "task": "images", "session": "02"}  # fmt: skip
    assert bids.name(entities, suffix="bold", extension=".nii.gz") == RAW


@pytest.mark.parametrize(
    "filename",
    [
        RAW,
        "sub-01_ses-01_task-images_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz",
        "sub-01_task-floc_hemi-L_space-fsnative_contrast-facesVsRest_stat-z_statmap.func.gii",
        "sub-01_space-T1w_res-1pt8_label-FFA1_mask.nii.gz",
        "sub-01_task-images_run-1_from-orig_to-boldref_mode-image_desc-hmc_xfm.txt",
        "sub-01_task-images_desc-confounds_timeseries.tsv",
        "sub-1_inv-2_part-mag_MP2RAGE.nii",
        "sub-01_task-rest_recording-cardiac_physio.tsv.gz",
    ],
)
def test_parse_and_name_are_inverse(filename):
    assert bids.name(bids.parse(filename)) == filename
    assert bids.parse(f"deep/folder/{filename}") == bids.parse(filename)


def test_parse_agrees_with_pybids_on_raw_names():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bids.layout import parse_file_entities

        theirs = parse_file_entities(f"/sub-01/ses-02/func/{RAW}")
    ours = bids.parse(RAW)
    assert {key: str(value) for key, value in theirs.items() if key in ours and key != "run"} == {
        key: value for key, value in ours.items() if key != "run"
    }
    assert ours["run"] == "01"


def test_short_and_long_entity_names_are_the_same():
    short = bids.name({"sub": "01", "acq": "x", "run": "2"}, suffix="bold")
    assert short == bids.name({"subject": "01", "acquisition": "x", "run": "2"}, suffix="bold")


def test_absent_labels_are_left_out():
    entities = {"subject": "01", "session": "n/a", "run": None, "echo": ""}
    assert bids.name(entities, suffix="T1w", extension=".nii") == "sub-01_T1w.nii"


@pytest.mark.parametrize(("one", "other"), [("run-1", "run-01"), ("ses-1", "ses-retest")])
def test_labels_survive_as_written(one, other):
    names = [f"sub-10006_{'ses-1_' * (key[:3] == 'run')}{key}_bold.nii" for key in (one, other)]
    stems = [bids.stem(bids.parse(name)) for name in names]
    assert [stem.split("_")[-1] for stem in stems] == [one, other]


def test_stem_leaves_out_echo_and_part_only():
    assert bids.stem(bids.parse(RAW)) == "sub-01_ses-02_task-images_acq-mb3_dir-AP_run-01"


def test_stem_keeps_entities_that_bids_does_not_know():
    entities = bids.parse("sub-01_task-x_foo-3_run-1_echo-1_bold.nii")
    assert bids.stem(entities) == "sub-01_task-x_run-1_foo-3"


def test_group_is_what_one_glm_fits():
    assert bids.group(bids.parse(RAW)) == "sub-01_ses-02_task-images_acq-mb3"


def test_a_stem_may_be_a_wildcard():
    name = bids.name(
        {"echo": "{echo}", "space": "T1w"}, suffix="bold", extension=".nii.gz", stem="{stem}"
    )
    assert name == "{stem}_echo-{echo}_space-T1w_bold.nii.gz"


@pytest.mark.parametrize(
    ("entities", "message"),
    [({"subject": "0_1"}, "0_1"), ({"nonsense": "1"}, "nonsense"), ({"run": "a-b"}, "a-b")],
)
def test_impossible_names_are_refused(entities, message):
    with pytest.raises(MetadataError, match=message):
        bids.name(entities, suffix="bold")


def test_a_name_without_suffix_is_refused():
    with pytest.raises(MetadataError, match="suffix"):
        bids.name({"subject": "01"})


@pytest.mark.parametrize("filename", ["notes.txt.nii", "sub-01_bold_old.nii", "sub-01_run-1.nii"])
def test_files_that_have_no_bids_name_are_refused(filename):
    with pytest.raises(MetadataError, match=filename):
        bids.parse(filename)


def test_folder_with_and_without_sessions():
    assert bids.folder("01", "02") == "sub-01/ses-02"
    assert bids.folder("01", "n/a") == bids.folder("01") == "sub-01"


def test_uris_name_the_dataset_only_when_it_is_another_one():
    assert sidecar.uri(None, "sub-01/anat/x.nii") == "bids::sub-01/anat/x.nii"
    assert sidecar.uri("raw", "/sub-01/anat/x.nii") == "bids:raw:sub-01/anat/x.nii"


def test_dataset_description_says_what_made_it_from_what():
    content = datasets.dataset_description(
        "Betas", version="0.1.0", links={"raw": "../../bids"}, sources=[{"URL": "../../bids"}]
    )
    assert content["DatasetType"] == "derivative"
    assert content["GeneratedBy"][0] == {"Name": "mebold", "Version": "0.1.0"}
    assert content["DatasetLinks"] == {"raw": "../../bids"}
    assert content["SourceDatasets"] == [{"URL": "../../bids"}]


def test_a_description_without_sources_has_no_empty_keys():
    content = datasets.dataset_description("x", version="1")
    assert set(content) == {"Name", "BIDSVersion", "DatasetType", "GeneratedBy"}
