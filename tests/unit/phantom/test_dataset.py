"""The dataset that the phantom writes: files, sidecars, tables, truth and messages."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.errors import ConfigError
from mebold.phantom import __main__, raw, truth
from mebold.phantom.dataset import write_dataset
from mebold.phantom.spec import SIZES, make_spec

SMALL = {
    "sessions": ("01", "02"),
    "runs": 2,
    "epi_shape": (18, 22, 12),
    "epi_voxel_mm": 9.0,
    "volumes": 22,
    "noise_volumes": 2,
    "head_mm": 5.0,
    "t1w_mm": 5.0,
    "trials": 9,
    "blanks": 1,
    "rare_images": 4,
    "frequent_images": 2,
    "frequent_shows": 4,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "raw"
    write_dataset(out, make_spec("tiny", **SMALL))
    return out


def func(dataset: Path, name: str) -> Path:
    return dataset / "sub-01" / "ses-01" / "func" / f"sub-01_ses-01_task-images_{name}"


def test_every_run_has_three_echoes_two_parts_and_references(dataset):
    names = {p.name for p in dataset.rglob("*.nii.gz")}
    expected = {
        f"sub-01_ses-{s}_task-images_run-{r}_echo-{e}_part-{p}_{x}.nii.gz"
        for s in ("01", "02")
        for r in ("01", "02")
        for e in (1, 2, 3)
        for p in ("mag", "phase")
        for x in ("bold", "sbref")
    }
    expected |= {
        f"sub-01_ses-{s}_run-{r}_{x}.nii.gz"
        for s in ("01", "02")
        for r in ("01", "02")
        for x in ("magnitude1", "magnitude2", "phasediff")
    }
    expected |= {"sub-01_ses-01_T1w.nii.gz", "sub-01_ses-01_T2w.nii.gz"}
    assert names == expected
    assert not list(dataset.rglob("*truth*"))


def test_images_are_stored_as_a_scanner_stores_them(dataset):
    magnitude = nib.load(func(dataset, "run-01_echo-2_part-mag_bold.nii.gz"))
    phase = nib.load(func(dataset, "run-01_echo-2_part-phase_bold.nii.gz"))
    assert magnitude.get_data_dtype() == np.int16
    assert magnitude.shape == phase.shape == (18, 22, 12, 24)
    assert nib.aff2axcodes(magnitude.affine) == ("L", "A", "S")
    assert magnitude.header.get_zooms()[3] == pytest.approx(1.9)
    np.testing.assert_allclose(
        magnitude.header.get_qform(), magnitude.header.get_sform(), atol=1e-3
    )
    # Oblique: about 10 degrees between the slice axis and z.
    axis = magnitude.affine[:3, 2] / np.linalg.norm(magnitude.affine[:3, 2])
    assert 8 < np.degrees(np.arccos(axis[2])) < 13
    stored = np.asarray(phase.dataobj)
    assert stored.min() == 0
    assert stored.max() == 4095
    assert np.asarray(magnitude.dataobj).min() >= 0
    assert np.asarray(magnitude.dataobj).max() < 4095


def test_sidecars_agree_with_the_images_and_with_each_other(dataset):
    bold = json.loads(func(dataset, "run-02_echo-3_part-phase_bold.json").read_text())
    assert bold["EchoTime"] == 0.04662
    assert bold["Units"] == "arbitrary"
    assert bold["TotalReadoutTime"] == pytest.approx(21 * bold["EffectiveEchoSpacing"])
    assert len(bold["SliceTiming"]) == 12
    assert max(bold["SliceTiming"]) < bold["RepetitionTime"]
    assert len(set(bold["SliceTiming"])) == 4
    fieldmaps = dataset / "sub-01" / "ses-01" / "fmap"
    sidecars = [json.loads(p.read_text()) for p in sorted(fieldmaps.glob("*phasediff.json"))]
    assert [s["B0FieldIdentifier"] for s in sidecars] == bold["B0FieldSource"]
    times = [s["AcquisitionTime"] for s in sidecars]
    assert times[0] < bold["AcquisitionTime"] < times[1]
    for uri in sidecars[0]["IntendedFor"]:
        assert (dataset / uri.removeprefix("bids::")).exists()


def test_validator_finds_no_error(dataset):
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("bids-validator-deno is not installed beside this Python")
    done = subprocess.run([program, dataset, "--json"], capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [i for i in issues if i.get("severity") == "error"] == []
    assert done.returncode == 0


def test_images_repeat_over_runs_and_sessions(dataset):
    tables = {
        path.name: pd.read_csv(path, sep="\t", keep_default_na=False)
        for path in sorted(dataset.rglob("*events.tsv"))
    }
    events = pd.concat(tables, names=["run", None]).reset_index("run")
    images = events[events.trial_type != "blank"]
    counts = images.groupby("stim_name").size()
    assert (counts[counts.index.str.contains("_4rep_")] == 4).all()
    assert (counts[counts.index.str.contains("_8rep_")] == 8).all()
    rare = images[images.stim_name.str.contains("_4rep_")]
    assert (rare.groupby(["stim_name", "run"]).size() == 1).all()
    # Occurrences count up in time, and only the first showing of all is new.
    for _, shows in images.groupby("stim_name"):
        occurrences = shows.stim_occurrence.astype(int).tolist()
        assert occurrences == list(range(1, len(shows) + 1))
        assert shows.trial_type.tolist() == ["new"] + ["old"] * (len(shows) - 1)
    blanks = events[events.trial_type == "blank"]
    assert len(blanks) == 4
    assert (blanks.response == "n/a").all()
    onsets = events.onset.to_numpy(float).reshape(4, 9)
    np.testing.assert_allclose(onsets, np.tile(12.0485 + 3 * np.arange(9), (4, 1)), atol=6e-4)


def test_truth_names_every_documented_key(dataset):
    truth = dataset.with_name("raw-truth")
    readme = (truth / "README.md").read_text()
    with np.load(truth / "sub-01" / "ses-02" / "run-02.npz") as run:
        missing = [key for key in run.files if f"`{key}`" not in readme]
        assert missing == []
        assert run["motion"].shape == (22, 4, 4)
        assert run["trial_amplitude"].shape[1] == 9
    assert json.loads((truth / "spec.json").read_text())["epi_shape"] == [18, 22, 12]
    t1w = nib.load(dataset / "sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz")
    brain = nib.load(truth / "sub-01" / "brain.nii.gz")
    np.testing.assert_allclose(brain.affine, t1w.affine, atol=1e-5)
    assert brain.shape == t1w.shape


def test_true_betas_at_their_own_voxels_are_the_stored_ones(dataset):
    with np.load(dataset.with_name("raw-truth") / "sub-01" / "responses.npz") as responses:
        got = truth.sample_betas(responses, responses["point"][::7])
        np.testing.assert_allclose(got, responses["betas"][::7], atol=1e-4)
        far = truth.sample_betas(responses, np.array([[500.0, 0.0, 0.0]]))
        assert not far.any()


def test_a_folder_in_use_is_not_overwritten(dataset, capsys):
    assert __main__.main([str(dataset), "--size", "tiny"]) == 2
    message = capsys.readouterr().err
    assert str(dataset) in message
    assert "not empty" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volume": 3}, "no parameter volume"),
        ({"phase_encoding": "i"}, "'j' and 'j-'"),
        ({"multiband": 5}, "multiband 5"),
        ({"rare_images": 11}, "do not fill"),
        ({"phase_units": "radians"}, "'unsigned', 'signed'"),
    ],
)
def test_impossible_parameters_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        make_spec("tiny", **changes)


def test_unknown_size_lists_the_sizes():
    with pytest.raises(ConfigError, match="tiny"):
        make_spec("huge")


@pytest.mark.parametrize("size", SIZES)
def test_slices_of_one_multiband_group_share_their_time(size):
    spec = make_spec(size)
    times = spec.slice_times_s.reshape(spec.multiband, -1)
    assert (times == times[0]).all()
    assert len(set(times[0])) == times.shape[1]
    assert times.min() == 0
    assert times.max() < spec.repetition_time_s
    # Interleaved: neighbours are far apart in time.
    assert np.abs(np.diff(times[0])).min() > 0.3 * spec.repetition_time_s


def test_clock_counts_from_the_start_of_the_session():
    assert raw.clock(0.0) == "09:12:00.000000"
    assert raw.clock(3661.25) == "10:13:01.250000"
