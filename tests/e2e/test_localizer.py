"""A localizer of the phantom from raw images to regions, against the places that it knows."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from snakemake_runner import snakemake

from mebold.files import images, tables
from mebold.geometry import affines
from mebold.phantom import dataset
from mebold.phantom.localizer import CATEGORIES
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

THRESHOLD = 5.0
TABLE = "out/rois/sub-01/sub-01_space-boldref_desc-regions_rois.tsv"
REGIONS = {"faces": "FFA1", "bodies": "EBA", "scenes": "PPA"}
#: Half of the faces' ball lies outside of the parcel that their region is looked for in.
PARCEL_MM, SHIFT_MM = 26.0, {"faces": (22.0, 0, 0)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Simulate two localizer runs, of which the second shows no characters, and find regions."""
    folder = tmp_path_factory.mktemp("localizer")
    spec = make_spec(
        "tiny", sessions=("01",), runs=1, trials=24, blanks=2, rare_images=11, frequent_images=0,
        echo_times_s=(0.028,), fieldmaps=0, field_peak_hz=12.0, thermal_sigma=8.0,
        localizer_runs=2, localizer_lacks="characters",
        localizer_volumes=200, localizer_percent=(8.0, 2.0),
    )  # fmt: skip
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    (folder / "parcels").mkdir()
    for name in REGIONS:
        parcel(folder, name)
    regions = ", ".join(
        f"{{name: {region}, contrast: {name}Others, parcel: p{name}, threshold: {THRESHOLD}, "
        "set: high}" for name, region in REGIONS.items()
    )  # fmt: skip
    # Against what both runs show: the usual contrasts rest on the first alone.
    others = {name: [c for c in CATEGORIES if c not in (name, "characters")] for name in REGIONS}
    own = ", ".join(f"{n}Others: {{of: [{n}], against: {o}}}" for n, o in others.items())
    rois = (
        f"{{given: [{{path: parcels}}], expressions: {{high: FFA1 | EBA | PPA}}, localizer: "
        f"{{response: glover + derivative, regions: [{regions}], "
        f"tasks: [{{task: floc, contrasts: {{{own}}}}}]}}}}"
    )
    # In the space of the reference image, which needs no anatomy: a minute less.
    shutil.rmtree(folder / "raw/sub-01/ses-01/anat")
    done = snakemake(
        TABLE, "--cores", "2", cwd=folder, bids_dir="raw", output_dir="out", rois=rois,
        primary_variant="standardSingle", sdc="none", output="{space: boldref}", task_label="floc",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def truth_of(folder, name, shape=None, affine=None):
    """Return the centre of a ball, mm of the reference image, or its voxels on a grid."""
    held = np.load(folder / "truth/sub-01/responses.npz")
    own = held["prefers"] == CATEGORIES.index(name)
    to_boldref = np.load(folder / "truth/sub-01/ses-01/localizer-01.npz")["t1w_to_boldref"]
    if shape is None:
        return affines.apply(to_boldref, held["point"][own]).mean(axis=0)
    volume = np.zeros(held["shape"], bool)
    volume[tuple(held["voxel"][own].T)] = True
    to_voxel = np.linalg.inv(to_boldref @ held["affine"])
    index = affines.apply(to_voxel, affines.grid_points(shape, affine)).T
    return ndimage.map_coordinates(volume.astype(float), index, order=1).reshape(shape) > 0.5


def parcel(folder, name):
    """Write a ball about the place of a category, on a grid of its own."""
    centre = truth_of(folder, name) + np.array(SHIFT_MM.get(name, (0.0, 0, 0)))
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = np.round(centre) - 40
    near = np.linalg.norm(affines.grid_points((41,) * 3, affine) - centre, axis=1) <= PARCEL_MM
    mask = nib.Nifti1Image(near.reshape((41,) * 3).astype(np.uint8), affine)
    nib.save(mask, folder / f"parcels/p{name}.nii.gz")


def masks(folder):
    found = {}
    for path in (folder / "out/rois/sub-01").glob("*/*_mask.nii.gz"):
        found[path.name.partition("_label-")[2].removesuffix("_mask.nii.gz")] = path
    return {name: images.load_mask(path) for name, path in found.items()}


def test_regions_are_where_the_phantom_responds(finished):
    found = masks(finished)
    for name, region in REGIONS.items():
        mask, affine = found[region]
        wanted = truth_of(finished, name, mask.shape, affine) & found[f"p{name}"][0]
        dice = 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())
        assert dice >= 0.8, (name, dice, mask.sum(), wanted.sum())
        assert not (mask & ~found[f"p{name}"][0]).any()


def test_sets_expressions_and_sizes(finished):
    found = {name: mask for name, (mask, _) in masks(finished).items()}
    own = [found[region] for region in REGIONS.values()]
    assert np.sum(own, axis=0).max() == 1
    np.testing.assert_array_equal(found["high"], np.any(own, axis=0))
    table = tables.read_tsv(finished / TABLE).set_index("roi")
    for name, mask in found.items():
        assert table.loc[name, "n_voxels"] == mask.sum(), name
    for name, region in REGIONS.items():
        # 6 percent, of a response function that reaches 1.5 in 12 s.
        assert 2.5 < table.loc[region, "selectivity"] < 5, region
        assert f"above {THRESHOLD:g} in p{name}" in table.loc[region, "note"]
    assert not (table.loc[["high", "pfaces"], "selectivity"] > -99).any()


def test_a_run_without_a_condition_is_left_out_of_its_contrasts(finished):
    table = tables.read_tsv(
        finished / "out/localizers/sub-01/sub-01_task-floc_desc-localizer_contrasts.tsv"
    ).set_index("contrast")
    assert table.loc["faces", "runs"] == 1
    assert "run-02 (no characters)" in table.loc["faces", "left_out"]
    assert table.loc["facesOthers", "runs"] == 2
    name = "sub-01_ses-01_task-floc_space-boldref_contrast-facesOthers_stat-z_statmap"
    path = finished / f"out/localizers/sub-01/ses-01/func/{name}.nii.gz"
    whole = finished / f"out/localizers/sub-01/{name.replace('_ses-01', '')}.nii.gz"
    # One session: the maps of the session are those of the subject.
    np.testing.assert_array_equal(images.load(path)[0], images.load(whole)[0])
    said = tables.read_json(path.with_suffix("").with_suffix(".json"))
    assert said["Contrast"] == "facesOthers"
    assert any("desc-preproc_bold" in source for source in said["Sources"])
