"""Which fieldmap images the jobs of a session read."""

import math

import pytest
from bids_trees import SHAPE, Tree

from mebold.inventory import index
from mebold.jobs.index import Index
from mebold.jobs.parameters import Parameters
from mebold.plan.table import make_plan

CONFIG = {"bids_dir": "raw", "hmc": {"echo": 1, "reference_echo": 2},
          "output": {"repetition_time_s": "keep"}}  # fmt: skip
STEM = "sub-01_ses-01_task-images_run-01"


def indexed(tree):
    table = index.index(tree.root)
    return Index(table, make_plan(table), CONFIG)


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
    run = Parameters(indexed(tree)).of_run(STEM, "fieldmaps", "centre_s")
    assert run["fieldmaps"] == ["gre2"]
    assert run["centre_s"] == pytest.approx(36000 + SHAPE[3] * 1.9 / 2)


def test_maps_of_another_session_have_no_common_clock(tree):
    tree.session("01", "02", shape=SHAPE, AcquisitionTime="10:00:00", B0FieldSource="gre2")
    runs = indexed(tree)
    stem = "sub-01_ses-02_task-images_run-01"
    assert Parameters(runs).of_run(stem, "centre_s") == {"centre_s": None}
    assert runs.row(stem)["fieldmap_folder"] == "sub-01/ses-01"
    assert Parameters(runs).of_fieldmaps("sub-01/ses-02") == []


def test_a_field_of_one_epi_image_reads_the_reference_of_the_run_too(tmp_path):
    tree = Tree(tmp_path / "raw")
    tree.image("sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz", {})
    epi = {"PhaseEncodingDirection": "j", "TotalReadoutTime": 0.02}
    tree.run("sub-01_ses-01_task-images_run-01", "sub-01/ses-01/func", shape=SHAPE, **epi)
    keys = {"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.02}
    epi = "sub-01/ses-01/fmap/sub-01_ses-01_dir-AP_epi.nii.gz"
    tree.image(epi, keys, shape=SHAPE[:3])
    own, opposed = Parameters(indexed(tree)).of_fieldmaps("sub-01/ses-01")
    assert (own["phase_encoding_direction"], opposed["phase_encoding_direction"]) == ("j-", "j")
    assert own["fieldmap"] == opposed["fieldmap"]
    assert {own["fieldmap_kind"], opposed["fieldmap_kind"]} == {"pepolar"}
    assert opposed["suffix"] == "epi"


@pytest.mark.parametrize(
    ("thermal", "after", "order"),
    [("standard", 0.99, 40), ("nordic", 0.99, 0.99), ("nordic", None, 40)],
)
def test_order_of_ica_after_nordic_is_an_option(tree, thermal, after, order):
    ica = {"order": 40, "order_after_nordic": after, "robust": False}
    table = index.index(tree.root)
    parameters = Parameters(Index(table, make_plan(table), CONFIG | {"ica": ica}))
    assert parameters.ica_settings(thermal) == {"order": order, "robust": False}
    assert ica["order"] == 40


def test_a_job_gets_just_the_keys_that_it_asks_for(tree):
    parameters = Parameters(indexed(tree))
    assert parameters.of_run(STEM, "tr", "hmc_echo") == {"tr": 1.9, "hmc_echo": 0}
    with pytest.raises(KeyError):
        parameters.of_run(STEM, "echo")


@pytest.mark.parametrize(("echo", "use"), [("1", "echo"), ("2", "reference_echo")])
def test_each_use_takes_the_sbref_of_its_own_echo_or_none(tree, echo, use):
    path = f"sub-01/ses-01/func/{STEM}_echo-{echo}_part-mag_sbref.nii.gz"
    tree.image(path, {"EchoTime": {"1": 0.011, "2": 0.02882}[echo]})
    for key in ("echo", "reference_echo"):
        assert indexed(tree).sbref(STEM, key) == (f"raw/{path}" if key == use else [])


def test_slice_times_count_only_where_the_plan_corrects(tree):
    table = index.index(tree.root)

    def of(config, change=None):
        rows = table.assign(**(change or {}))
        runs = Index(rows, make_plan(rows, config=config), CONFIG)
        return Parameters(runs).of_run(STEM, "slice_timing", "acquired_slice_timing")

    times = [0.0, 0.6, 1.2]
    assert of({}) == {"slice_timing": times, "acquired_slice_timing": times}
    off = {"slice_timing": None, "acquired_slice_timing": times}
    assert of({"slice_timing": {"method": "none"}}) == off
    assert of({}, {"acquisition_type": "3D"}) == off


def test_a_job_on_the_anatomy_knows_its_matrix(tmp_path):
    tree = Tree(tmp_path / "raw")
    tree.image("sub-01/anat/sub-01_T1w.nii.gz", {}, shape=(20, 30, 40))
    tree.image("sub-02/anat/sub-02_T1w.nii.gz", {})  # not fetched: as large as usual
    found = Parameters(indexed(tree))
    assert found.t1w_megavoxels("sub-01") == pytest.approx(0.024)
    assert found.t1w_megavoxels("sub-02") == pytest.approx(176 * 256 * 256 / 1e6)


def test_a_job_after_the_interpolation_knows_how_many_samples_there_are(tree):
    table = index.index(tree.root)
    config = {**CONFIG, "output": {"repetition_time_s": 1.0}, "ica": {"judged_share": 0.9}}
    found = Parameters(Index(table, make_plan(table, config=config), config))
    size = math.prod(SHAPE) * 4 / 1e6
    assert found.series_mb(stem=STEM) == pytest.approx(size)
    assert found.series_mb(stem=STEM, resampled=True) == pytest.approx(1.9 * size)
    assert found.series_mb(stem=STEM, judged=True) == pytest.approx(0.95 * size)
    config["ica"]["judged_share"] = None
    assert found.series_mb(stem=STEM, judged=True) == pytest.approx(1.9 * size)
    n = table.loc[table["suffix"] == "bold", "stem"].nunique()
    group = {"group": "sub-01_ses-01_task-images", "resampled": True}
    assert found.series_mb(**group) == pytest.approx(n * 1.9 * size)
    assert found.series_mb(**group, longest=True) == pytest.approx(1.9 * size)
    assert Parameters(indexed(tree)).series_mb(stem=STEM, resampled=True) == pytest.approx(size)
