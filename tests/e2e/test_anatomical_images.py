"""MP2RAGE instead of a T1w, a multi-echo GRE that is also the fieldmap, a template by age."""

import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.files import images, tables, transforms
from mebold.geometry import affines, grids, interpolation
from mebold.phantom import anatomy, dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

FIELD = "out/preproc/sub-01/ses-01/fmap/sub-01_ses-01_desc-preproc_fieldmap.nii.gz"
SPACE = "MNI152NLin2009aSym"


@pytest.fixture(scope="module")
def spec():
    return make_spec(
        "tiny", sessions=("01",), runs=1, trials=48, blanks=4, fieldmaps=0, mp2rage=True,
        megre_echo_times_s=(0.004, 0.0085, 0.013, 0.0175, 0.022), megre_voxel_mm=4.0,
        megre_names_runs=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory, spec):
    folder = tmp_path_factory.mktemp("images")
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    done = snakemake(
        "anatomy", FIELD, "--cores", "2", cwd=folder, bids_dir="raw", output_dir="out",
        template="{space: by_age, registration_mm: 6}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def test_the_brain_of_the_mp2rage(finished, spec):
    anat = finished / "out/anatomical/sub-01/anat"
    mask, affine = images.load_mask(anat / "sub-01_desc-brain_mask.nii.gz")
    head = anatomy.make_head(spec, "01")
    tissue = head.tissue(affines.grid_points(mask.shape, affine))
    brain = tissue["brain"].reshape(mask.shape) > 0.5
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.96
    t1_s = images.load(anat / "sub-01_T1map.nii.gz")[0]
    with np.load(finished / "truth/sub-01/mp2rage.npz") as known:
        for name in ("wm", "gm"):
            pure = tissue[name].reshape(mask.shape) > 0.9
            assert np.median(t1_s[pure]) == pytest.approx(np.median(known["t1_s"][pure]), rel=0.05)
    about = tables.read_json(anat / "sub-01_desc-cleaned_UNIT1.json")
    assert about["BackgroundCleaning"].startswith("robust combination")
    sources = tables.read_json(anat / "sub-01_desc-preproc_T1w.json")["Sources"]
    assert "bids:anatomical:sub-01/anat/sub-01_desc-cleaned_UNIT1.nii.gz" in sources


def test_t2star_and_field_of_the_multi_echo_gre(finished):
    folder = finished / "out/anatomical/sub-01/ses-01"
    with np.load(finished / "truth/sub-01/megre.npz") as stored:
        known = dict(stored)
    t2star = images.load(folder / "anat/sub-01_ses-01_T2starmap.nii.gz")[0]
    pure = known["pure"] & (t2star > 0)
    assert np.median(t2star[pure] / known["t2star_s"][pure]) == pytest.approx(1.0, abs=0.03)
    r2star = images.load(folder / "anat/sub-01_ses-01_R2starmap.nii.gz")[0]
    np.testing.assert_allclose(r2star[pure] * t2star[pure], 1.0, rtol=1e-4)
    field = images.load(folder / "fmap/sub-01_ses-01_fieldmap.nii.gz")[0]
    brain = known["brain"] > 0.9
    assert np.sqrt(np.mean((field - known["field_hz"])[brain] ** 2)) < 1.0


def test_it_is_the_fieldmap_of_the_runs_that_it_names(finished):
    field, affine = images.load(finished / FIELD)
    with np.load(finished / "truth/sub-01/megre.npz") as known:
        true = grids.onto(known["field_hz"], known["affine"], field.shape[:3], affine)
        brain = grids.onto(known["brain"], known["affine"], field.shape[:3], affine) > 0.9
    found = field[..., 0] if field.ndim == 4 else field
    assert np.sqrt(np.mean((found - true)[brain] ** 2)) < 1.0


def test_the_template_of_an_adult(finished):
    anat = finished / "out/anatomical/sub-01/anat"
    about = tables.read_json(anat / f"sub-01_space-{SPACE}_desc-jacobian_anatmap.json")
    volumes = about["Volumes"]
    assert volumes["TemplateBrainInSubjectMl"] == pytest.approx(volumes["BrainMl"], rel=0.04)
    assert volumes["ModulatedGreyMatterMl"] == pytest.approx(volumes["GreyMatterMl"], rel=0.02)
    assert volumes["FoldedVoxels"] == 0
    field, grid = transforms.load_displacement(
        anat / f"sub-01_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz"
    )
    jacobian, own = images.load(anat / f"sub-01_space-{SPACE}_desc-jacobian_anatmap.nii.gz")
    assert affines.same_grid(field.shape[:3], grid, jacobian.shape, own)
    svg = finished / f"out/anatomical/sub-01/figures/sub-01_space-{SPACE}_desc-flicker_T1w.svg"
    assert svg.read_text().count("<image ") == 2


def test_landmarks_of_the_template_lie_in_their_places(finished, spec):
    """Points of the anatomy that the simulator knows: commissures, callosum, hippocampi, cortex."""
    points = np.array(
        [[0, 3, -4], [0, -25, -2], [0, 29, 6], [0, -40, 10], [0, -46, -30], [-25, -20, -14],
         [25, -20, -14], [-12, 10, 8], [12, 10, 8], [0, -85, 5], [-40, 30, 0], [40, 30, 0],
         [-30, -60, 45], [30, -60, 45], [0, -30, -30]], float
    )  # fmt: skip
    head = anatomy.make_head(spec, "01")
    true = affines.apply(np.linalg.inv(head.to_mni), points)
    for _ in range(20):
        true = true + (points - head.mni(true)) @ np.linalg.inv(head.to_mni[:3, :3]).T
    field, grid = transforms.load_displacement(
        finished / f"out/anatomical/sub-01/anat/sub-01_from-T1w_to-{SPACE}_mode-image_xfm.nii.gz"
    )
    steps = [
        interpolation.resample_volume(field[..., axis].copy(), grid, points, order=1)
        for axis in range(3)
    ]
    off = np.linalg.norm(points + np.stack(steps, axis=1) - true, axis=1)
    assert np.median(off) < 2.0


def test_the_age_is_said_in_the_plan(finished):
    done = snakemake("-n", "plan", cwd=finished, bids_dir="raw", output_dir="out",
                     template="{space: by_age}")  # fmt: skip
    assert done.returncode == 0
    assert not [line for line in done.stdout.splitlines() if "age is unknown" in line]
