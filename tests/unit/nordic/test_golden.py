"""NORDIC against stored results of the reference program (tests/golden/nordic/README.md)."""

from pathlib import Path

import numpy as np
import pytest

from mebold.nordic.denoise import nordic

GOLDEN = Path(__file__).parents[2] / "golden" / "nordic"
CASES = {"a": (48, True, 0), "b": (48, False, 0), "c": (51, True, 3)}
pytestmark = pytest.mark.golden


def run_case(name, **options):
    n_volumes, with_phase, noise_volumes = CASES[name]
    with np.load(GOLDEN / "input.npz") as series:
        magnitude = series["magnitude"][..., :n_volumes].astype(np.float32)
        phase = series["phase"][..., :n_volumes] if with_phase else None
    with np.load(GOLDEN / f"case_{name}.npz") as stored:
        reference = dict(stored)
    result = nordic(magnitude, phase, noise_volumes=noise_volumes, compat=True, **options)
    return result, reference


@pytest.fixture(scope="module", params=sorted(CASES))
def given_threshold(request):
    with np.load(GOLDEN / f"case_{request.param}.npz") as stored:
        threshold = float(stored["threshold"])
    return run_case(request.param, threshold=threshold)


def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype=np.float64)))


def test_magnitude_equals_reference(given_threshold):
    result, reference = given_threshold
    expected = reference["out_magnitude"]
    error = result.magnitude[..., reference["volumes"]] - expected
    assert rms(error) <= 1e-6 * rms(expected)
    assert np.abs(error).max() <= 1e-5 * rms(expected)


def test_all_volumes_equal_reference(given_threshold):
    result, reference = given_threshold
    expected = reference["out_magnitude_mean"]
    series = result.magnitude.astype(np.float64)
    assert rms(series.mean(axis=-1) - expected) <= 1e-6 * rms(expected)
    assert rms(series.std(axis=-1, ddof=1) - reference["out_magnitude_std"]) <= 1e-5 * rms(expected)


def test_phase_equals_reference(given_threshold):
    result, reference = given_threshold
    if "out_phase" not in reference:
        assert result.phase is None
        return
    error = result.phase[..., reference["volumes"]] - reference["out_phase"]
    error -= 4095 * np.round(error / 4095)
    magnitude = reference["out_magnitude"]
    assert np.abs(error)[magnitude > 0.1 * np.median(magnitude)].max() <= 0.5


def test_maps_equal_reference(given_threshold):
    result, reference = given_threshold
    gfactor = reference["gfactor"] * reference["absolute_scale"]
    np.testing.assert_allclose(result.gfactor, gfactor, rtol=1e-5)
    for name in ("components_removed", "gfactor_components_removed", "energy_removed"):
        np.testing.assert_allclose(getattr(result, name), reference[name], rtol=1e-5, err_msg=name)


def test_noise_level_and_kernel_equal_reference(given_threshold):
    result, reference = given_threshold
    assert result.noise_level == pytest.approx(float(reference["measured_noise"]), rel=1e-5)
    assert result.kernel_size == tuple(reference["kernel_size"])
    assert result.absolute_scale == float(reference["absolute_scale"])


def test_last_row_is_lost_as_in_reference(given_threshold):
    result, _ = given_threshold
    assert not result.magnitude[-1].any()
    assert np.isnan(result.gfactor[-1]).all()


@pytest.mark.parametrize("name", sorted(CASES))
def test_own_threshold_is_near_the_random_one(name):
    result, reference = run_case(name)
    assert result.threshold == pytest.approx(float(reference["threshold"]), rel=0.01)
    error = result.magnitude[..., reference["volumes"]] - reference["out_magnitude"]
    assert rms(error) <= 5e-3 * rms(reference["out_magnitude"])
