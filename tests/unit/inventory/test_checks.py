"""Checks across rows: a sound table has no finding, and each defect gives its own."""

import copy

import pytest
from bids_trees import SHAPE, Tree

from mebold.errors import MetadataError
from mebold.inventory import index
from mebold.inventory.checks import check, findings
from mebold.inventory.findings import refused, summary, warning
from mebold.inventory.table import frame, records


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("bids"))
    tree.session("01", suffixes=("bold", "sbref"), shape=SHAPE)
    return [row | {"image_state": "ok"} for row in records(index.index(tree.root))]


@pytest.fixture
def rows(sound):
    """Return the rows of a sound data set, free to be spoilt."""
    return copy.deepcopy(sound)


def pick(rows, *words):
    """Return the rows whose path holds all words."""
    return [row for row in rows if all(word in row["path"] for word in words)]


def only(rows, severity, *words):
    """Assert that there are findings of one severity alone, and that each holds all words."""
    found = findings(frame(rows))
    assert {finding.severity for finding in found} == {severity}
    for word in words:
        assert any(word in str(finding) for finding in found), [str(f) for f in found]
    return found


def test_a_sound_data_set_has_no_finding(rows):
    assert check(frame(rows)) == []


def test_phase_without_magnitude(rows):
    for row in pick(rows, "run-01", "part-mag", "_bold"):
        rows.remove(row)
    found = only(rows, "error", "run-01_echo-1_part-phase_bold.nii.gz: part", "no magnitude")
    assert len(found) == 1


@pytest.mark.parametrize(("gone", "left"), [("phase", "mag"), ("mag", "phase")])
def test_an_echo_without_its_other_part(rows, gone, left):
    rows.remove(pick(rows, "run-01_echo-2", f"part-{gone}_bold")[0])
    found = only(rows, "error", f"run-01_echo-2_part-{left}_bold.nii.gz", "is missing")
    assert len(found) == 1


def test_a_missing_echo_of_one_run(rows):
    for row in pick(rows, "run-02_echo-3"):
        rows.remove(row)
    only(rows, "error", "run-02", "2 of 3 echoes", "task-images_run-01")


def test_a_gap_in_the_echo_labels(rows):
    for row in pick(rows, "_echo-2_"):
        rows.remove(row)
    only(rows, "error", "of 3 echoes, the one with the label 2 is missing")


def with_noise_scans(rows):
    """Add noise scans to the first run, without echo times and labelled against them."""
    scans = [row | {"suffix": "noRF", "echo_time": None, "n_volumes": 2,
                    "path": row["path"].replace("_bold", "_noRF"), "shape": [*SHAPE[:3], 2]}
             for row in copy.deepcopy(pick(rows, "run-01", "_bold"))]  # fmt: skip
    rows += scans
    return scans


def test_noise_scans_of_every_echo_and_part_have_no_finding(rows):
    with_noise_scans(rows)
    assert check(frame(rows)) == []


def test_a_noise_scan_is_missing(rows):
    rows.remove(with_noise_scans(rows)[1])
    found = only(rows, "error", "echo-1_part-phase_bold", "noRF", "part (phase) is missing")
    assert len(found) == 1


def test_a_noise_scan_of_another_echo(rows):
    with_noise_scans(rows)[0]["echo"] = "4"
    only(rows, "error", "echo-1_part-mag_noRF", "no BOLD image of this echo", "is missing")


def test_a_noise_scan_of_another_matrix(rows):
    with_noise_scans(rows)[2]["shape"] = [SHAPE[0] + 1, *SHAPE[1:3]]
    only(rows, "error", "echo-2_part-mag_noRF", "5 x 5 x 3 differs from the matrix 4 x 5 x 3")


def test_a_noise_scan_of_no_run_is_a_warning(rows):
    for row in with_noise_scans(rows):
        row["stem"] = row["stem"].replace("run-01", "run-07")
    only(rows, "warning", "run-07; the noise scan is not used")


def test_unequal_numbers_of_volumes_name_both_files(rows):
    row = pick(rows, "run-01_echo-2", "part-mag_bold")[0]
    row["shape"] = [4, 5, 3, 7]
    only(rows, "error", row["path"], "4 x 5 x 3 x 7 differs from 4 x 5 x 3 x 8 of", "echo-1")


def test_a_missing_echo_time_names_file_key_and_fix(rows):
    row = pick(rows, "run-02_echo-3", "part-mag_bold")[0]
    row["echo_time"] = None
    found = only(rows, "error", row["path"], "EchoTime: the key is absent", "in seconds")
    assert len(found) == 1


def test_a_missing_echo_time_of_a_single_echo_is_a_warning(rows):
    kept = [row for row in rows if row["echo"] in (None, "1")]
    for row in kept:
        row["echo_time"] = None
    only(kept, "warning", "EchoTime: the key is absent")


@pytest.mark.parametrize("time", [28.82, 0.0, -0.01])
def test_echo_times_that_are_not_seconds(rows, time):
    for row in pick(rows, "run-01_echo-2", "_bold"):
        row["echo_time"] = time
    only(rows, "error", f"EchoTime: {time:g} s cannot be an echo time")


def test_two_echoes_with_the_same_time(rows):
    for row in pick(rows, "run-01_echo-3", "_bold"):
        row["echo_time"] = 0.02882
    only(rows, "error", "two of 3 echoes have the same echo time: 0.011, 0.02882 s")


def test_parts_that_disagree_on_the_echo_time(rows):
    pick(rows, "run-01_echo-2", "part-phase_bold")[0]["echo_time"] = 0.03
    only(rows, "error", "the parts of echo 2 disagree: 0.02882, 0.03 s")


def test_labels_against_the_echo_times_are_a_warning(rows):
    for row in pick(rows, "_bold"):
        row["echo_time"] = 0.06 - row["echo_time"]
    only(rows, "warning", "labels do not ascend with EchoTime")


def test_a_run_with_volume_timing_is_refused_with_a_sentence(rows):
    for row in pick(rows, "run-02", "_bold"):
        row |= {"repetition_time": None, "volume_timing": [0.0, 1.9, 4.0]}
    found = only(rows, "refused", "run-02", "VolumeTiming is given instead of RepetitionTime")
    assert check(frame(rows)) == found


def test_a_missing_repetition_time_is_an_error(rows):
    pick(rows, "run-02_echo-1", "part-mag_bold")[0]["repetition_time"] = None
    only(rows, "error", "RepetitionTime: the key is absent")


def test_a_repetition_time_in_milliseconds(rows):
    for row in pick(rows, "_bold"):
        row["repetition_time"] = 1900.0
    only(rows, "error", "RepetitionTime: 1900 s cannot be a repetition time")


def test_images_of_one_run_with_other_repetition_times(rows):
    pick(rows, "run-02_echo-2", "part-mag_bold")[0]["repetition_time"] = 2.0
    only(rows, "error", "the images of one run disagree: 1.9, 2 s")


def test_runs_of_one_task_with_other_repetition_times(rows):
    for row in pick(rows, "run-02", "_bold"):
        row["repetition_time"] = 2.0
    only(rows, "error", "runs of one task disagree: 1.9, 2 s", "acq- label")
    for row in rows:
        row["n_events"] = None
    only(rows, "warning", "runs of one task disagree")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0, 0.6], "2 times for 3 slices"),
        ([0.0, 600.0, 1200.0], "0 to 1200 s do not lie within RepetitionTime (1.9 s)"),
    ],
)
def test_slice_times_that_cannot_be(rows, times, message):
    pick(rows, "run-01_echo-1", "part-mag_bold")[0]["slice_timing"] = times
    only(rows, "error", "SliceTiming", message)


def test_slice_times_along_another_axis(rows):
    for row in pick(rows, "_bold"):
        row |= {"slice_encoding_direction": "j-", "slice_timing": [0.0, 0.3, 0.6, 0.9, 1.2]}
    assert findings(frame(rows)) == []


def test_an_unknown_phase_encoding_direction(rows):
    for row in pick(rows, "run-01", "_bold"):
        row["phase_encoding_direction"] = "AP"
    only(rows, "error", "PhaseEncodingDirection: 'AP' is unknown", "i, i-, j")


def test_opposite_directions_are_an_error_in_a_run_and_none_between_runs(rows):
    for row in pick(rows, "run-01", "_bold"):
        row["phase_encoding_direction"] = "j"
    assert findings(frame(rows)) == []
    pick(rows, "run-02_echo-1", "part-mag_bold")[0]["phase_encoding_direction"] = "j"
    only(rows, "error", "the images of one run disagree: j, j-")


def test_a_readout_time_in_milliseconds(rows):
    for row in pick(rows, "_bold"):
        row["total_readout_time"] = 21.3
    only(rows, "error", "TotalReadoutTime: the total readout time is 21.3 s")


def test_the_same_image_twice(rows):
    row = pick(rows, "run-01_echo-1", "part-mag_bold")[0]
    rows.append(row | {"path": row["path"].removesuffix(".gz")})
    only(rows, "error", "is the same image: same echo, same part (mag)")


def test_an_unknown_part_is_left_out_and_said(rows):
    row = pick(rows, "run-01_echo-1", "part-mag_bold")[0]
    rows.append(row | {"part": "foo", "component": "other", "path": "x_part-foo_bold.nii.gz"})
    only(rows, "warning", "the label 'foo' is neither magnitude nor phase")


def test_images_without_content_are_one_warning(rows):
    for row in rows:
        row["image_state"] = "empty"
    found = only(rows, "warning", f"{len(rows)} of {len(rows)} images have no content")
    assert len(found) == 1


def test_a_damaged_image_is_an_error(rows):
    rows[0]["image_state"] = "damaged"
    only(rows, "error", rows[0]["path"], "no readable NIfTI image")


def test_an_unreadable_events_file_is_an_error(rows):
    for row in pick(rows, "run-01", "_bold"):
        row["events_problem"] = "there is no column 'onset'"
    found = only(rows, "error", "run-01_events.tsv: events: there is no column 'onset'. Correct")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [(None, 0.006, "a key is absent"), (0.00602, 0.005, "0.00602 and 0.005 s"),
     (5.0, 6.02, "5 and 6.02 s")],
)  # fmt: skip
def test_phase_differences_need_two_ascending_echo_times(rows, first, second, message):
    pick(rows, "phasediff")[0].update(echo_time_1=first, echo_time_2=second)
    only(rows, "error", "phasediff.nii.gz: EchoTime1, EchoTime2", message)


def test_echo_times_of_a_phase_difference_may_stand_in_its_magnitudes(rows):
    pick(rows, "phasediff")[0].update(echo_time_1=None, echo_time_2=None)
    for row, time in zip(pick(rows, "_magnitude"), (0.005, 0.00602), strict=True):
        row["echo_time"] = time
    assert check(frame(rows)) == []
    pick(rows, "_magnitude2")[0]["echo_time"] = 0.004
    only(rows, "error", "0.005 and 0.004 s are not two ascending echo times")


def test_the_second_magnitude_alone_is_enough(rows):
    rows.remove(pick(rows, "magnitude1")[0])
    assert check(frame(rows)) == []


def test_a_phase_difference_needs_a_magnitude(rows):
    for row in pick(rows, "_magnitude"):
        rows.remove(row)
    only(rows, "error", "phasediff.nii.gz: magnitude1: the magnitude image is missing")


def test_two_phase_images_need_ascending_echo_times(rows):
    (one, two), (difference,) = pick(rows, "magnitude"), pick(rows, "phasediff")
    rows.remove(difference)
    rows.append(one | {"path": "sub-01/fmap/sub-01_phase1.nii.gz", "suffix": "phase1"})
    rows.append(two | {"path": "sub-01/fmap/sub-01_phase2.nii.gz", "suffix": "phase2"})
    for row in rows:
        row |= {"fieldmap": row["fieldmap"] and "phases", "fieldmaps": ["phases"]}
    only(rows, "error", "phase1.nii.gz: EchoTime: the key is absent")
    rows[-2]["echo_time"], rows[-1]["echo_time"] = 0.01, 0.005
    only(rows, "error", "phase2.nii.gz: EchoTime", "0.01 and 0.005 s, which do not ascend")


def test_a_fieldmap_that_no_run_uses_is_not_checked(rows):
    pick(rows, "phasediff")[0]["echo_time_1"] = None
    for row in rows:
        row |= {"fieldmap": None, "fieldmaps": None}
    assert findings(frame(rows)) == []


def test_a_direct_fieldmap_needs_units(rows):
    row = pick(rows, "phasediff")[0]
    row |= {"path": "sub-01/fmap/sub-01_fieldmap.nii.gz", "suffix": "fieldmap"}
    for other in rows:
        other |= {"fieldmap": other["fieldmap"] and "fieldmap", "fieldmaps": ["fieldmap"]}
    only(rows, "error", "fieldmap.nii.gz: Units: the key is absent", "Hz, rad/s or T")


def test_broken_pairing_keys_are_warnings(rows):
    pick(rows, "phasediff")[0]["intended_missing"] = ["func/gone.nii.gz"]
    pick(rows, "run-01_echo-1", "part-mag_bold")[0]["b0_source"] = ["nowhere"]
    only(rows, "warning", "1 target(s) do not exist, such as func/gone.nii.gz",
         "no image of the subject has the B0FieldIdentifier 'nowhere'")  # fmt: skip


def test_two_reconstructions_of_a_task_are_a_warning(rows):
    for row in pick(rows, "run-02"):
        row["reconstruction"] = "norm"
    only(rows, "warning", "each trial counts twice")


def test_many_errors_stay_on_one_screen(rows):
    for row in pick(rows, "_bold"):
        row["echo_time"] = None
    with pytest.raises(MetadataError) as caught:
        check(frame(rows))
    lines = str(caught.value).splitlines()
    assert lines[0] == "The data set has 12 problems:"
    assert lines[-1] == "and 4 more."
    assert len(lines) == 10


def test_alike_findings_are_one_line_of_the_summary():
    alike = [warning(name, "EchoTime", "absent", "Add it") for name in ("a", "b")]
    other = warning("a", "Units", "absent", "Add it")
    assert summary([*alike, other]) == (
        "warning: a: EchoTime: absent. Add it. (2 files: a, b)\n"
        "warning: a: Units: absent. Add it.\n"
    )


def test_of_many_files_three_are_named_but_refused_runs_all():
    names = list("abcd")
    many = summary([warning(name, "Units", "absent", "Add it") for name in names])
    assert "(4 files: a, b, c and 1 more)" in many
    assert "(4 files: a, b, c, d)" in summary(
        [refused(name, "Units", "absent", "Add it") for name in names]
    )


def test_fieldmap_and_run_that_the_scanner_corrected_differently(rows):
    for row in pick(rows, "/func/"):
        row["gradient_correction"] = "ND"
    assert check(frame(rows)) == []
    for row in pick(rows, "_magnitude"):
        row["gradient_correction"] = "DIS2D"
    found = only(rows, "warning", "magnitude1", "DIS2D for the fieldmap and ND for the BOLD")
    assert len(found) == 2


def test_an_incomplete_set_of_sbrefs_is_a_finding_that_says_what_is_done(rows):
    for row in pick(rows, "run-01", "_sbref"):
        if "echo-2" not in row["path"]:
            rows.remove(row)
    found = only(rows, "warning", "echo 1, 3 has no SBRef", "robust mean of its series")
    assert len(found) == 1


def test_an_sbref_of_another_echo_time_is_not_used_and_told(rows):
    for row in pick(rows, "run-01_echo-2", "_sbref"):
        row |= {"echo_time": 0.035, "echo_index": None}
    only(rows, "warning", "0.035 s belongs to no echo of the series", "echo 2 has no SBRef")


def test_a_series_where_one_volume_is_needed(rows):
    for row in pick(rows, "run-01_echo-2_part-mag_sbref"):
        row["shape"] = [*SHAPE[:3], 5]
    only(rows, "error", "echo-2_part-mag_sbref.nii.gz: shape: 4 x 5 x 3 x 5 is a series")


def test_a_volume_with_a_fourth_axis_of_one_is_a_volume(rows):
    for row in pick(rows, "_sbref"):
        row["shape"] = [*SHAPE[:3], 1]
    for row in pick(rows, "magnitude1"):
        row["shape"] = [4, 5, 3, 1]
    assert check(frame(rows)) == []
    pick(rows, "magnitude1")[0]["shape"] = [4, 5, 3, 2]
    only(rows, "error", "magnitude1.nii.gz: shape: 4 x 5 x 3 x 2 is a series")
