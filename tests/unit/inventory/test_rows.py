"""One row from one image: readout time, clock times, parts, states of the file."""

import pytest
from bids_trees import Tree

from mebold.errors import MetadataError
from mebold.inventory.rows import row, wanted
from mebold.inventory.tree import File, Inheritance, walk

BOLD = "sub-01/func/sub-01_task-x_bold.nii.gz"


@pytest.fixture
def describe(tmp_path):
    """Return a function from path and metadata to the row of an absent image."""

    def function(path=BOLD, scan_time=None, **metadata):
        return row(tmp_path, File(path, 0, 0), metadata, scan_time=scan_time)

    return function


def test_total_readout_time_is_preferred(describe):
    cells = describe(TotalReadoutTime=0.05, EffectiveEchoSpacing=0.001, ReconMatrixPE=11)
    assert (cells["total_readout_time"], cells["readout_by"]) == (0.05, "TotalReadoutTime")


def test_readout_time_from_echo_spacing_and_reconstructed_lines(describe):
    cells = describe(EffectiveEchoSpacing=0.000197, ReconMatrixPE=110, PhaseEncodingDirection="j")
    assert cells["total_readout_time"] == pytest.approx(0.000197 * 109)
    assert cells["readout_by"] == "EffectiveEchoSpacing"


@pytest.mark.parametrize(("direction", "lines"), [("i", 4), ("j-", 5), ("k", 3)])
def test_readout_time_counts_the_lines_of_the_header(tmp_path, direction, lines):
    Tree(tmp_path).image(BOLD, shape=(4, 5, 3, 8))
    metadata = {"EffectiveEchoSpacing": 0.001, "PhaseEncodingDirection": direction}
    cells = row(tmp_path, File(BOLD, 1, 0), metadata | {"ReconMatrixPE": 99})
    assert cells["total_readout_time"] == pytest.approx(0.001 * (lines - 1))


def test_no_readout_time_without_the_number_of_lines(describe):
    assert describe(EffectiveEchoSpacing=0.001)["total_readout_time"] is None
    assert describe(EffectiveEchoSpacing=0.001)["readout_by"] == "EffectiveEchoSpacing"


@pytest.mark.parametrize(
    ("metadata", "scan_time", "seconds"),
    [
        ({"AcquisitionTime": "10:56:26.757500"}, "2022-03-16T01:00:00", 39386.7575),
        ({"AcquisitionTime": "105626.7575"}, None, 39386.7575),
        ({"AcquisitionTime": 95626.5}, None, 35786.5),
        ({"AcquisitionDateTime": "2022-03-16T10:56:26"}, None, 39386.0),
        ({}, "1880-01-10T05:17:54Z", 19074.0),
        ({}, "n/a", None),
        ({"AcquisitionTime": "soon"}, None, None),
    ],
)
def test_clock_times_are_seconds_since_midnight(describe, metadata, scan_time, seconds):
    assert describe(scan_time=scan_time, **metadata)["acquisition_time"] == seconds


@pytest.mark.parametrize(
    ("part", "image_type", "component"),
    [
        ("mag", None, "mag"),
        ("Magnitude", ["P"], "mag"),
        ("pha", None, "phase"),
        ("imag", None, "imag"),
        ("weird", ["ORIGINAL", "PRIMARY", "P"], "phase"),
        ("weird", None, "other"),
        (None, ["ORIGINAL", "PRIMARY", "FMRI"], "mag"),
    ],
)
def test_what_the_voxels_are(describe, part, image_type, component):
    label = f"_part-{part}" if part else ""
    cells = describe(f"sub-01/func/sub-01_task-x{label}_bold.nii.gz", ImageType=image_type)
    assert (cells["component"], cells["part"]) == (component, part)


def test_the_phase_suffix_of_old_data_sets_is_a_part(describe):
    cells = describe("sub-01/func/sub-01_task-x_echo-1_phase.nii.gz")
    assert (cells["suffix"], cells["part"], cells["component"]) == ("bold", "phase", "phase")


@pytest.mark.parametrize(
    ("metadata", "correction"),
    [
        ({"ImageType": ["ORIGINAL", "DIS2D"]}, "DIS2D"),
        ({"ImageType": ["ND"]}, "ND"),
        ({"ImageTypeText": ["M", "DIS3D"], "NonlinearGradientCorrection": True}, "DIS3D"),
        ({"NonlinearGradientCorrection": True}, "applied"),
        ({"NonlinearGradientCorrection": False}, "ND"),
        ({}, None),
    ],
)
def test_gradient_correction_as_the_scanner_noted_it(describe, metadata, correction):
    assert describe(**metadata)["gradient_correction"] == correction


def test_a_number_may_stand_in_quotes_or_brackets(describe):
    cells = describe(EchoTime="0.03", RepetitionTime=[2.0])
    assert (cells["echo_time"], cells["repetition_time"]) == (0.03, 2.0)


def test_a_key_of_the_wrong_type_is_named_with_its_file(describe):
    with pytest.raises(MetadataError, match=r"_bold\.nii\.gz.*FlipAngle is 'low'"):
        describe(FlipAngle="low")


def test_states_of_the_image_file(tmp_path):
    tree = Tree(tmp_path)
    tree.image("sub-01/anat/sub-01_acq-good_T1w.nii.gz", shape=(2, 2, 2))
    tree.image("sub-01/anat/sub-01_acq-empty_T1w.nii.gz")
    tree.text("sub-01/anat/sub-01_acq-bad_T1w.nii.gz", "no image")
    tree.path("sub-01/anat/sub-01_acq-gone_T1w.nii.gz").symlink_to(tmp_path / "annex" / "key")
    states = {
        row(tmp_path, file, {})["path"].split("_")[1]: row(tmp_path, file, {})["image_state"]
        for file in walk(tmp_path)
        if wanted(file.path)
    }
    assert states == {"acq-good": "ok", "acq-empty": "empty", "acq-bad": "damaged",
                      "acq-gone": "missing"}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "sub-01/func/sub-01_task-x_physio.tsv.gz",
        "sub-01/anat/sub-01_mod-T1w_defacemask.nii.gz",
        "sub-01/anat/notes.nii.gz",
        "sub-01/dwi/sub-01_dwi.nii.gz",
        "sub-01/func/sub-01_task-x_bold.json",
        "sub-01/func/sub-01_task-x_cbv.nii.gz",
        "sub-01/func/sub-01_task-x_space-T1w_desc-preproc_bold.nii.gz",
    ],
)
def test_what_is_neither_bold_nor_anatomy_is_passed_over(path):
    assert not wanted(path)


def test_walk_enters_only_subjects_and_their_mri(tmp_path):
    tree = Tree(tmp_path)
    others = ("derivatives/x/sub-01/func", "sourcedata/sub-01/anat", "sub-01/eeg", "stimuli")
    for folder in (*others, ".git/sub-01/func", "sub-01/meg/sub-01_meg.ds", "sub-01/ses-1/func"):
        tree.image(f"{folder}/sub-01_task-x_bold.nii.gz")
    found = [file.path for file in walk(tmp_path)]
    assert found == ["dataset_description.json", "sub-01/ses-1/func/sub-01_task-x_bold.nii.gz"]


def test_files_belong_to_the_session_or_subject_that_holds_them():
    paths = {
        "task-x_bold.json": "",
        "sub-01/sub-01_scans.tsv": "sub-01",
        "sub-01/func/sub-01_bold.json": "sub-01",
        "sub-01/ses-1/func/x.json": "sub-01/ses-1",
    }
    assert {path: File(path, 0, 0).part_of for path in paths} == paths


def test_events_are_inherited_without_run_and_the_nearest_wins():
    events = Inheritance(
        ["task-x_events.tsv", "sub-01/func/sub-01_task-x_run-2_events.tsv", "notes.tsv"]
    )
    first = "sub-01/func/sub-01_task-x_run-1_echo-1_part-mag_bold.nii.gz"
    assert events.applicable(first, suffix="events") == ["task-x_events.tsv"]
    second = events.applicable(first.replace("run-1", "run-2"), suffix="events")
    assert second == ["task-x_events.tsv", "sub-01/func/sub-01_task-x_run-2_events.tsv"]
    assert events.applicable(first.replace("task-x", "task-y"), suffix="events") == []
