"""A session without a T1w, in the space of its first reference image, against the truth."""

import shutil

import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.files import images, tables, transforms
from mebold.geometry import affines
from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

STEM = "sub-01_ses-01_task-images"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boldref")
    spec = make_spec("tiny", sessions=("01",))
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    for echo in (1, 3):  # the reference of motion is then a mean, that of alignment an SBRef
        for image in (folder / "raw").rglob(f"*_echo-{echo}_*sbref*"):
            image.unlink()
    for anatomy in (folder / "raw").glob("sub-*/ses-*/anat"):
        shutil.rmtree(anatomy)
    for events in (folder / "raw").rglob("*_events.tsv"):  # a task without blanks
        table = tables.read_tsv(events)
        tables.write_tsv(events, table[table["trial_type"] != "blank"])
    done = snakemake(
        "--cores", "2", cwd=folder, bids_dir="raw", output_dir="out",
        variants='["standardSingle","nordicOptcom"]', compare="{n_bootstrap: 100}",
        visual_roi="{threshold: 40}", write_echoes="true", output="{repetition_time_s: auto}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def test_the_run_is_aligned_with_the_reference_of_the_first(finished):
    known = [np.load(finished / f"truth/sub-01/ses-01/run-0{run}.npz") for run in (1, 2)]
    first, second = (run["t1w_to_boldref"] for run in known)
    brain = known[0]["brain"] > 0.5
    points = affines.grid_points(brain.shape, known[0]["affine"], brain)
    folder = finished / "out/preproc/sub-01/ses-01/func"
    name = "from-boldref_to-subjectBoldref_mode-image_desc-coreg_xfm"
    found = transforms.load_xfm(folder / f"{STEM}_run-02_{name}.txt")
    error = affines.displacements(found, second @ np.linalg.inv(first), points)
    assert np.median(error) <= 0.25
    np.testing.assert_array_equal(
        transforms.load_xfm(folder / f"{STEM}_run-01_{name}.txt"), np.eye(4)
    )
    about = tables.read_json(folder / f"{STEM}_run-02_{name}.json")
    assert about["Quality"]["correlation"] > 0.9
    assert about["Warnings"] == []


def test_series_betas_and_ceilings_lie_on_the_grid_of_the_reference(finished):
    out = finished / "out"
    reference = out / f"preproc/sub-01/ses-01/func/{STEM}_run-01_desc-sdc_boldref.nii.gz"
    image, affine = images.load(reference)
    bold = out / f"tedana/sub-01/ses-01/func/{STEM}_run-02_space-boldref_desc-optcom_bold.nii.gz"
    fit = out / "glmsingle-tedana/sub-01/ses-01/func"
    betas = fit / f"{STEM}_space-boldref_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
    ceiling = fit / f"{STEM}_space-boldref_desc-Noiseceiling_statmap.nii.gz"
    for path in (bold, betas, ceiling):
        data, grid = images.load(path)
        assert affines.same_grid(data.shape, grid, image.shape, affine), path
        assert np.isfinite(data).all() or path == betas  # not a number outside the fit
        assert np.nanmax(data) > 0
        assert "reference image" in tables.read_json(tables.sidecar(path))["SpatialReference"]
    assert not list(out.rglob("*space-T1w*"))
    confounds = tables.read_tsv(
        out / f"tedana/sub-01/ses-01/func/{STEM}_run-01_desc-confounds_timeseries.tsv"
    )
    assert "global_signal" in confounds
    assert "csf" not in confounds


def test_variants_are_compared_where_nothing_responds(finished):
    """Neither blanks nor a response above the threshold, and no grey matter without a T1w."""
    folder = finished / "out/comparison"
    region = folder / f"sub-01/ses-01/func/{STEM}_space-boldref_label-visual_mask"
    about = tables.read_json(f"{region}.json")
    assert "the whole brain" in about["RegionFallback"] or "positive" in about["RegionFallback"]
    assert images.load(f"{region}.nii.gz")[0].sum() >= 10
    metrics = tables.read_tsv(folder / f"sub-01/ses-01/func/{STEM}_desc-variants_metrics.tsv")
    assert {"noise_ceiling_median", "predictivity"} <= set(metrics["metric"])
    assert set(metrics["task"]) == {"images"}
    text = (folder / "task-images_desc-variants_summary.md").read_text()
    assert "fewer than 10" in text
    rois = tables.read_tsv(
        finished / "out/rois/sub-01/sub-01_task-images_desc-Noiseceiling_rois.tsv"
    )
    reliable = rois["roi"] == "reliable"
    assert (rois["n_voxels"][~reliable] > 0).all()
    # What nothing passes is a region of no voxels, and a row all the same.
    assert reliable.any()
    assert rois["n_voxels"][reliable].max() < 0.01 * rois["n_voxels"][rois["roi"] == "brain"].min()


def test_maps_say_where_they_are_known_and_empty_ones_are_not_written(finished):
    fit = finished / "out/glmsingle-tedana/sub-01"
    about = tables.read_json(fit / "sub-01_task-images_desc-GLMsingle_summary.json")
    assert about["MapsNotWritten"] == {"12rep": "no image is shown exactly 12 times"}
    names = {path.name.split("_desc-")[1] for path in fit.glob("*_statmap.nii.gz")}
    assert "Noiseceiling12rep_statmap.nii.gz" not in names
    ceiling = fit / "sub-01_task-images_space-boldref_desc-NoiseceilingAllrep_statmap"
    mask = images.load(fit / tables.read_json(f"{ceiling}.json")["CoverageMask"])[0] > 0
    values = images.load(f"{ceiling}.nii.gz")[0]
    assert not values[~mask].any()
    known = images.load(next(fit.glob("ses-01/func/*desc-coverage_mask.nii.gz")))[0] > 0
    assert np.array_equal(mask, known)
    summary = tables.read_json(next(fit.glob("ses-01/func/*_desc-GLMsingle_summary.json")))
    assert summary["VoxelsFitted"] == np.count_nonzero(known)


def test_echoes_and_the_reference_image_lie_beside_the_series(finished):
    folder = finished / "out/tedana/sub-01/ses-01/func"
    bold, affine = images.load(folder / f"{STEM}_run-02_space-boldref_desc-optcom_bold.nii.gz")
    inside = bold.std(axis=3) > 0
    means = []
    for echo in (1, 2, 3):
        path = folder / f"{STEM}_run-02_echo-{echo}_space-boldref_desc-preproc_bold.nii.gz"
        data, own = images.load(path)
        np.testing.assert_array_equal(own, affine)
        assert data.shape == bold.shape
        assert tables.read_json(tables.sidecar(path))["EchoTime"] > 0
        means.append(data[inside].mean())
    assert means == sorted(means, reverse=True)
    boldref = images.load(folder / f"{STEM}_run-02_space-boldref_desc-preproc_boldref.nii.gz")[0]
    assert np.corrcoef(boldref[inside], bold.mean(axis=3)[inside])[0, 1] > 0.8


def test_motion_is_told_from_the_reference_image_where_its_own_is_another(finished):
    path = finished / f"out/preproc/sub-01/ses-01/func/{STEM}_run-02_desc-native_motion.json"
    bridge = np.asarray(tables.read_json(path)["BoldrefToSeries"])
    assert bridge.shape == (4, 4)
    assert not np.array_equal(bridge, np.eye(4))
    plan = (finished / "out/plan.txt").read_text()
    assert "no SBRef of echo 1: motion is measured against the mean of its series" in plan
