"""What a user gets from the NORDIC rules: denoised echoes, maps, every number and warning."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from snakemake_runner import snakemake

from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

pytestmark = pytest.mark.e2e

RUN = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-0{run}_echo-{echo}"
NOISE = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs with noise volumes: of the first as separate scans, of the second at the end."""
    folder = tmp_path_factory.mktemp("nordic")
    spec = make_spec("tiny", sessions=("01",), noise_volumes=NOISE)
    dataset.write_dataset(folder / "raw", spec, truth=folder / "truth")
    for path in (folder / "raw").rglob("*_run-01_*_bold.nii.gz"):
        image = nib.load(path)
        data = np.asarray(image.dataobj)
        scan = path.with_name(path.name.replace("_bold", "_noRF"))
        nib.save(nib.Nifti1Image(data[..., -NOISE:], image.affine, image.header), scan)
        nib.save(nib.Nifti1Image(data[..., :-NOISE], image.affine, image.header), path)
        sidecar = Path(str(path).replace(".nii.gz", ".json"))
        Path(str(scan).replace(".nii.gz", ".json")).write_text(sidecar.read_text())
    return folder


def start(folder, out, *targets, **config):
    targets = [f"{out}/nordic/{target}" for target in targets]
    return snakemake(
        *("--cores", "2", *targets), cwd=folder, bids_dir="raw", output_dir=out, **config
    )


@pytest.fixture(scope="module")
def finished(folder):
    wanted = [f"{RUN}_part-mag_desc-nordic_bold.nii.gz".format(run=r, echo=1) for r in (1, 2)]
    done = start(folder, "out", *wanted, "dataset_description.json",
                 nordic="{write: [magnitude, phase]}")  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def record(folder, run, out="out"):
    name = RUN.format(run=run, echo=1)
    return json.loads((folder / f"{out}/nordic/{name}_part-mag_desc-nordic_bold.json").read_text())


@pytest.mark.parametrize("part", ["mag", "phase"])
@pytest.mark.parametrize("run", [1, 2])
def test_denoised_echo_is_where_and_when_the_raw_one_is(finished, run, part):
    name = RUN.format(run=run, echo=1)
    image = nib.load(finished / f"out/nordic/{name}_part-{part}_desc-nordic_bold.nii.gz")
    raw = nib.load(finished / f"raw/{name}_part-{part}_bold.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert image.shape == (*raw.shape[:3], 48)
    assert image.header.get_zooms()[3] == pytest.approx(1.9)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    for form in ("get_sform", "get_qform"):
        np.testing.assert_allclose(getattr(image, form)(), raw.affine, atol=1e-3)
    if part == "mag":
        before, after = np.asarray(raw.dataobj)[..., :48].astype(float), image.get_fdata()
        bright = before.mean(axis=3) > np.quantile(before.mean(axis=3), 0.8)
        ratio = np.diff(after[bright]).std() / np.diff(before[bright]).std()
        assert ratio < 0.7
        assert after[bright].mean() == pytest.approx(before[bright].mean(), rel=0.01)


def test_noise_volumes_are_counted_and_their_origin_said(finished):
    scans, trailing = (record(finished, run) for run in (1, 2))
    assert [r["NoiseVolumes"]["Count"] for r in (scans, trailing)] == [NOISE, NOISE]
    assert scans["NoiseVolumes"]["SeparateScan"] == NOISE
    assert trailing["NoiseVolumes"]["AtTheEnd"] == NOISE
    assert "by their drop in intensity" in trailing["NoiseVolumes"]["Origin"]
    assert any(uri.endswith("part-phase_noRF.nii.gz") for uri in scans["Sources"])
    log = next((finished / "out/work/logs/nordic").rglob("*run-02_echo-1.log")).read_text()
    assert "2 at the end of the series (by their drop in intensity)" in log
    assert "10,768,260" in log


def test_sidecar_holds_every_option_and_number(finished):
    found = record(finished, 1)
    options = found["Parameters"]["options"]
    assert {"method", "factor_error", "kernel_size", "gfactor_kernel_size", "gfactor_volumes",
            "patch_overlap", "gfactor_patch_overlap", "temporal_phase", "phase_filter_width",
            "phase_range", "threshold_draws", "compat", "seed"} <= set(options)  # fmt: skip
    result = found["Result"]
    assert result["kernel_size"] == [8, 8, 8]
    assert result["phase_range"] == [0, 4095]
    assert result["threshold"] == pytest.approx(28.9, rel=0.05)
    assert 0.6 < result["noise_level"] < 0.8
    assert found["NoiseMap"] == "pooled over the echoes"
    assert found["Warnings"] == []
    assert (found["EchoTime"], found["RepetitionTime"]) == (0.011, 1.9)
    assert found["SliceTimingCorrected"] is False
    assert "10,768,260" in found["Patent"]
    assert len(found["ReferencesAndLinks"]) == 4
    assert found["GeneratedBy"][0]["Packages"]["numpy"] == np.__version__


def test_dataset_is_valid_bids(finished):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed beside the interpreter")
    for name in ("raw", "out/nordic"):
        done = subprocess.run(
            [validator, "--json", finished / name], text=True, capture_output=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        errors = [(i["code"], i.get("location")) for i in issues if i["severity"] == "error"]
        assert not errors, f"{name}: {errors[:5]}"


def test_given_noise_map_replaces_the_estimate_and_is_checked(finished):
    found = nib.load(
        finished / f"out/nordic/{RUN.format(run=1, echo=1)}_desc-gfactor_boldmap.nii.gz"
    )
    level = found.get_fdata(dtype=np.float32)
    wanted = f"{RUN.format(run=1, echo=1)}_desc-gfactor_boldmap.nii.gz"
    for name, data in (("level", level), ("relative", level / level.mean())):
        path = finished / f"{name}/sub-01/ses-01/sub-01_ses-01_task-images_run-01.nii"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(data, found.affine), path)
    given = start(finished, "given", wanted, nordic="{noise_map: 'level/{folder}/{stem}.nii'}")
    assert given.returncode == 0, given.stdout[-3000:]
    assert record(finished, 1, "given")["NoiseMap"] == "given: level/{folder}/{stem}.nii"
    written = nib.load(finished / "given/nordic" / wanted).get_fdata()
    np.testing.assert_allclose(written, level, rtol=1e-5)
    wrong = start(finished, "given", wanted, nordic="{noise_map: 'relative/{folder}/{stem}.nii'}")
    assert wrong.returncode != 0
    assert "The noise map has a median of" in wrong.stdout
    assert "units of the magnitude" in wrong.stdout
