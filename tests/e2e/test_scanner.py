"""Two runs of the `scanner` phantom, preprocessed: what breaks methods that simulations flatter.

Contrast of its own in SBRef, series and fieldmap, a field of +-140 Hz near air with dropout, an
array coil, four volumes before the steady state, a run that loses the top of the brain, anatomy
70 mm away, zeroed background.
"""

import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.files import images, tables
from mebold.phantom import check, dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

FUNC = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-{}"
VARIANT = "preproc-standardOptcom"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scanner")
    dataset.write_dataset(folder / "raw", make_spec("scanner"), truth=folder / "truth")
    done = snakemake(
        "preprocessing", "--cores", "2", cwd=folder, bids_dir="raw", output_dir="out",
        variants='["standardOptcom"]', primary_variant="standardOptcom", compare_sessions="none",
        exclude="[sub-01_ses-01_task-images_run-02, sub-01_ses-01_task-images_run-04]",
        output="{repetition_time_s: 1.0}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def test_geometry_is_that_of_the_truth(finished):
    rows = check.geometry(finished / "out", finished / "truth")
    assert len(rows) == 8
    failed = [str(row) for row in rows if not row.ok]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("run", ["01", "03"])
def test_the_first_four_volumes_are_found_and_marked(finished, run):
    motion = tables.read_json(finished / f"out/preproc/{FUNC.format(run)}_desc-native_motion.json")
    assert motion["NonSteadyStateVolumes"] == 4
    table = tables.read_tsv(
        finished / f"out/{VARIANT}/{FUNC.format(run)}_desc-confounds_timeseries.tsv"
    )
    # Volumes of 1.9 s on a grid of 1 s.
    assert sum(name.startswith("non_steady_state_outlier") for name in table) == 8


def test_only_the_run_that_left_the_field_of_view_loses_brain(finished):
    brain = {}
    for run in ("01", "03"):
        stem = finished / f"out/{VARIANT}/{FUNC.format(run)}_space-T1w"
        mask = images.load_mask(f"{stem}_desc-brain_mask.nii.gz")[0]
        wider = images.load_mask(f"{stem}_desc-dilated_mask.nii.gz")[0]
        share = images.load(f"{stem}_desc-coverage_boldmap.nii.gz")[0]
        assert (wider | ~mask).all()
        assert share[wider].min() >= 0.8
        series = images.load(f"{stem}_desc-optcom_bold.nii.gz")[0]
        assert series[mask].min(axis=-1).min() >= 0
        assert np.count_nonzero(series.std(axis=-1)[mask]) == np.count_nonzero(mask)
        brain[run] = np.count_nonzero(mask)
    whole = images.load_mask(
        finished / "out/anatomical/sub-01/anat/sub-01_space-T1w_res-bold_desc-brain_mask.nii.gz"
    )[0].sum()
    assert brain["01"] > 0.93 * whole
    assert 0.5 * whole < brain["03"] < 0.9 * whole
    warnings = {
        run: tables.read_json(
            finished
            / f"out/preproc/{FUNC.format(run)}_from-boldref_to-T1w_mode-image_desc-coreg_xfm.json"
        )["Warnings"]
        for run in ("01", "03")
    }
    assert not any("field of view" in text for text in warnings["01"])
    assert any("field of view" in text for text in warnings["03"])
