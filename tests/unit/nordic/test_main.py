"""Command line of the NORDIC step."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mebold.nordic import __main__
from mebold.nordic.denoise import nordic

SHAPE, N = (15, 16, 6), 18


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("nordic")
    rng = np.random.default_rng(0)
    clean = np.full((*SHAPE, N), 500.0) * (1 + 0.1 * np.sin(np.arange(N)))
    clean[..., -2:] = 0
    data = clean + 20 * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    affine = np.array([[-2.0, 0.1, 0, 30], [0.1, 2, 0, -20], [0, 0, 2.5, -10], [0, 0, 0, 1]])
    magnitude = np.rint(np.abs(data)).astype(np.int16)
    phase = np.rint((np.angle(data) / np.pi + 1) * 2047.5).astype(np.int16)
    phase.flat[:2] = 0, 4095
    for name, values in {
        "mag": magnitude,
        "phase": phase,
        "mag16": magnitude[..., :-2],
        "phase16": phase[..., :-2],
        "norf_mag": magnitude[..., -2:],
        "norf_phase": phase[..., -2:],
    }.items():
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm", "msec")
        image.header.set_zooms((*image.header.get_zooms()[:3], 1900.0))
        nib.save(image, root / f"{name}.nii")
    image = nib.Nifti1Image(phase, np.eye(4))
    nib.save(image, root / "elsewhere.nii")
    return root


def run(folder, *words, output="out/run.nii.gz"):
    words = [str(folder / w) if w.endswith(".nii") else w for w in words]
    return __main__.main([*words, "-o", str(folder / output)])


def read(path):
    return nib.load(path).get_fdata(dtype=np.float32)


def test_outputs_and_record(folder, capsys):
    assert run(folder, "mag.nii", "phase.nii", "--save-phase") == 0
    out = folder / "out"
    names = {path.name for path in out.iterdir()}
    labels = ("phase", "gfactor", "componentsRemoved", "energyRemoved", "residualSD", "noiseSD")
    assert names == {"run.nii.gz", "run.json"} | {f"run_{label}.nii.gz" for label in labels}
    expected = nordic(read(folder / "mag.nii"), read(folder / "phase.nii"), noise_volumes=2)
    image = nib.load(out / "run.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(), expected.magnitude[..., :-2])
    np.testing.assert_array_equal(read(out / "run_phase.nii.gz"), expected.phase[..., :-2])
    np.testing.assert_array_equal(read(out / "run_gfactor.nii.gz"), expected.gfactor)
    source = nib.load(folder / "mag.nii")
    for form in (image.get_sform(), image.get_qform()):
        np.testing.assert_allclose(form, source.affine, atol=0.2)
    np.testing.assert_allclose(image.get_sform(), source.affine)
    assert image.header.get_zooms()[3] == pytest.approx(1.9)
    record = json.loads((out / "run.json").read_text())
    assert record["Result"]["threshold"] == pytest.approx(expected.threshold)
    assert record["Result"]["noise_level"] == pytest.approx(expected.noise_level)
    assert record["Parameters"]["noise_volumes"] == 2
    assert record["Parameters"]["phase_filter_width"] == 10
    assert record["Parameters"]["seed"] == 0
    assert "10,768,260" in record["Patent"]
    assert any("10.1016/j.neuroimage.2020.117539" in line for line in record["ReferencesAndLinks"])
    assert record["GeneratedBy"][0]["Packages"]["numpy"] == np.__version__
    messages = capsys.readouterr().err
    assert "last 2 volumes are dark" in messages
    assert "denoising: done" in messages


def test_separate_noise_scan_equals_noise_volumes(folder):
    assert run(folder, "mag.nii", "phase.nii", "--quiet", output="a.nii") == 0
    words = ("mag16.nii", "phase16.nii", "--norf", "norf_mag.nii", "norf_phase.nii", "--quiet")
    assert run(folder, *words, output="b.nii") == 0
    np.testing.assert_array_equal(read(folder / "a.nii"), read(folder / "b.nii"))


def test_options_reach_the_method(folder):
    words = "--noise-volumes 0 --method mppca --kernel-size 4 4 4 --compat --phase-range -10 5000"
    assert run(folder, "mag.nii", "phase.nii", *words.split(), output="c.nii") == 0
    expected = nordic(
        read(folder / "mag.nii"),
        read(folder / "phase.nii"),
        method="mppca",
        kernel_size=(4, 4, 4),
        compat=True,
        phase_range=(-10, 5000),
    )
    np.testing.assert_array_equal(read(folder / "c.nii"), expected.magnitude)
    record = json.loads((folder / "c.json").read_text())
    assert record["Result"]["threshold"] is None
    assert record["Parameters"]["kernel_size"] == [4, 4, 4]


def test_warnings_are_shown_and_recorded(folder, capsys):
    assert run(folder, "mag.nii", "--noise-volumes", "2", output="d.nii") == 0
    assert "Warning: The noise volumes hold magnitudes" in capsys.readouterr().err
    assert "magnitudes" in json.loads((folder / "d.json").read_text())["Warnings"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mag.nii", "phase16.nii"], "must be equal"),
        (["mag.nii", "elsewhere.nii"], "elsewhere in space"),
        (["absent.nii"], "does not exist"),
        (["mag.nii", "--noise-volumes", "few"], "accepted are numbers and 'auto'"),
        (["mag16.nii", "phase16.nii", "--norf", "norf_mag.nii"], "--norf needs"),
        (["mag.nii", "phase.nii", "--phase-range", "1"], "two numbers"),
    ],
)
def test_unusable_input_is_explained(folder, words, message, capsys):
    assert run(folder, *words, output="e.nii") == 1
    assert message in capsys.readouterr().err
    assert not (folder / "e.nii").exists()


def test_output_name_is_checked(folder, capsys):
    assert run(folder, "mag.nii", output="e.mgz") == 1
    assert ".nii or .nii.gz" in capsys.readouterr().err


def test_module_can_be_run(folder):
    done = subprocess.run(
        [sys.executable, "-m", "mebold.nordic", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3] / "workflow",
    )
    assert "--noise-volumes" in done.stdout
