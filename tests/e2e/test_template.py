"""A session in the space of the template that comes with nilearn."""

import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.anat import mni
from mebold.files import images, tables, transforms
from mebold.geometry import affines, grids
from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

STEM = "sub-01_ses-01_task-images"
SPACE = "MNI152NLin2009aSym"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    spec = make_spec("tiny", sessions=("01",))
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    done = snakemake(
        "preprocessing", "--cores", "2", cwd=folder, bids_dir="raw", output_dir="out",
        variants='["standardOptcom"]', primary_variant="standardOptcom", compare_sessions="none",
        output=f"{{space: {SPACE}, repetition_time_s: 1.0}}", template="{registration_mm: 4}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("run", ["01", "02"])
def test_the_bold_fills_the_brain_of_the_template(finished, run):
    func = finished / "out/preproc-standardOptcom/sub-01/ses-01/func"
    path = func / f"{STEM}_run-{run}_space-{SPACE}_desc-optcom_bold.nii.gz"
    data, affine = images.load(path)
    maps, own = mni.load_template(1.0)
    shape, grid = affines.rescaled_grid(maps["t1"].shape, own, affines.voxel_sizes(affine)[0])
    assert affines.same_grid(data.shape, affine, shape, grid)
    assert SPACE in tables.read_json(tables.sidecar(path))["SpatialReference"]
    brain = grids.onto(maps["brain"], own, shape, grid) > 0.5
    mean = data.mean(axis=3)
    # 0.90 when right, 0.84 with half the displacement; the field of view ends in the cerebellum.
    assert dice(mean > 0.5 * np.percentile(mean[mean > 0], 75), brain) > 0.88
    covered = images.load_mask(str(path).replace("desc-optcom_bold", "desc-brain_mask"))[0] & brain
    gm, wm, whole = (grids.onto(maps[k], own, shape, grid) for k in ("gm", "wm", "brain"))
    contrast = gm + 0.72 * wm + 1.35 * np.clip(whole - gm - wm, 0, 1)
    # 0.58 when right (voxels of 6 mm), 0.27 with half the displacement.
    assert np.corrcoef(contrast[covered], mean[covered])[0, 1] > 0.45


def test_fields_quality_and_names(finished):
    anat = finished / "out/anatomical/sub-01/anat"
    name = f"sub-01_from-T1w_to-{SPACE}_mode-image_xfm"
    about = tables.read_json(anat / f"{name}.json")
    assert about["Warnings"] == []
    assert about["Quality"]["correlation"] > 0.8
    assert about["Quality"]["mask_dice"] > 0.95
    transforms.load_displacement(anat / f"{name}.nii.gz")
    transforms.load_displacement(anat / f"sub-01_from-{SPACE}_to-T1w_mode-image_xfm.nii.gz")
    mask, grid = images.load_mask(anat / f"sub-01_space-{SPACE}_res-bold_desc-brain_mask.nii.gz")
    maps, own = mni.load_template(1.0)
    assert dice(mask, grids.onto(maps["brain"], own, mask.shape, grid) > 0.5) > 0.95
    assert (finished / f"out/anatomical/sub-01/figures/sub-01_space-{SPACE}_T1w.png").stat().st_size
    # A T2w lies with the T1w, whatever the space of the series.
    there = {path.name.partition(".")[0] for path in finished.glob("out/**/*space-T1w*")}
    assert there == {"sub-01_space-T1w_desc-preproc_T2w"}
    func = finished / "out/preproc/sub-01/ses-01/func"
    assert (func / f"{STEM}_space-{SPACE}_T2starmap.nii.gz").is_file()
    assert (func / f"{STEM}_run-01_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt").is_file()


def test_a_template_of_the_users_own_files(finished):
    maps, affine = mni.load_template(4.0)
    about = {"Name": "coarse"}
    images.save(finished / "own_T1w.nii.gz", 50 + 900 * maps["t1"], affine, metadata=about)
    images.save(finished / "own_mask.nii.gz", maps["brain"] > 0.5, affine, dtype="uint8")
    done = snakemake(
        "anatomy", "--cores", "2", cwd=finished, bids_dir="raw", output_dir="out",
        variants='["standardOptcom"]', primary_variant="standardOptcom", compare_sessions="none",
        output="{space: Coarse, repetition_time_s: 1.0}",
        template="{registration_mm: 6, image: own_T1w.nii.gz, mask: own_mask.nii.gz}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    name = finished / "out/anatomical/sub-01/anat/sub-01_from-T1w_to-Coarse_mode-image_xfm.json"
    found = tables.read_json(name)
    assert found["SpatialReference"] == "Template Coarse: own_T1w.nii.gz"
    assert any(uri.endswith("/own_mask.nii.gz") for uri in found["Sources"])
    assert found["Quality"]["correlation"] > 0.8
    assert found["Quality"]["mask_dice"] > 0.95
