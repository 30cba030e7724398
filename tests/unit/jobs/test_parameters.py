"""Which fieldmap images the jobs of a session read."""

from types import SimpleNamespace

import pytest
from bids_trees import SHAPE, Tree

from mebold.inventory import index
from mebold.jobs.parameters import JobParameters
from mebold.plan.table import make_plan

CONFIG = {"bids_dir": "raw", "hmc": {"echo": 1, "reference_echo": 2},
          "output": {"repetition_time_s": "keep"}}  # fmt: skip


def indexed(tree):
    table = index.index(tree.root)
    return JobParameters(table, make_plan(table), CONFIG)


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw")
    times = {"AcquisitionTime": "10:00:00"}
    tree.session("01", "01", shape=SHAPE, **times, B0FieldSource="gre2")
    for run, time in (("1", "09:50:00"), ("2", "10:10:00")):
        keys = {"AcquisitionTime": time, "B0FieldIdentifier": f"gre{run}"}
        tree.phasediff(f"sub-01_ses-01_run-{run}", "sub-01/ses-01/fmap", **keys)
    tree.image("sub-01/ses-01/fmap/sub-01_ses-01_TB1map.nii.gz", {}, shape=SHAPE[:3])
    return tree


def test_only_the_maps_that_correct_a_run_are_read(tree):
    runs = indexed(tree)
    rows = runs.fieldmap_rows("sub-01/ses-01")
    assert {row["fieldmap"] for row in rows} == {"gre2"}
    assert len(rows) == 3
    assert runs.fieldmap_rows("sub-01/ses-02") == []


def test_a_run_knows_its_maps_and_when_it_wants_them(tree):
    run = indexed(tree).acquisition("sub-01_ses-01_task-images_run-01")
    assert run["fieldmaps"] == ["gre2"]
    assert run["centre_s"] == pytest.approx(36000 + SHAPE[3] * 1.9 / 2)


def test_maps_of_another_session_have_no_common_clock(tree):
    tree.session("01", "02", shape=SHAPE, AcquisitionTime="10:00:00", B0FieldSource="gre2")
    runs = indexed(tree)
    stem = "sub-01_ses-02_task-images_run-01"
    assert runs.acquisition(stem)["centre_s"] is None
    assert runs.row(stem)["fieldmap_folder"] == "sub-01/ses-01"
    assert runs.fieldmap_parameters(SimpleNamespace(folder="sub-01/ses-02")) == []


def test_a_field_of_one_epi_image_reads_the_reference_of_the_run_too(tmp_path):
    tree = Tree(tmp_path / "raw")
    tree.image("sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz", {})
    epi = {"PhaseEncodingDirection": "j", "TotalReadoutTime": 0.02}
    tree.run("sub-01_ses-01_task-images_run-01", "sub-01/ses-01/func", shape=SHAPE, **epi)
    keys = {"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.02}
    epi = "sub-01/ses-01/fmap/sub-01_ses-01_dir-AP_epi.nii.gz"
    tree.image(epi, keys, shape=SHAPE[:3])
    own, opposed = indexed(tree).fieldmap_parameters(SimpleNamespace(folder="sub-01/ses-01"))
    assert (own["phase_encoding_direction"], opposed["phase_encoding_direction"]) == ("j-", "j")
    assert own["fieldmap"] == opposed["fieldmap"]
    assert {own["fieldmap_kind"], opposed["fieldmap_kind"]} == {"pepolar"}
    assert opposed["suffix"] == "epi"
