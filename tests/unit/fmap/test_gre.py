import numpy as np
import pytest

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.fmap import gre
from mebold.fmap.phase import PHASE_RANGES, detect_phase_range, phase_to_radians, series_to_radians
from mebold.geometry import affines

SHAPE = (24, 28, 20)
AFFINE = affines.rigid_matrix([0, 0, 0, 0.1, -0.05, 0.2], np.zeros(3)) @ np.diag([-3.0, 3, 3, 1])
DELTA_S = 1.02e-3
FIELD = {"curvature": 2.0, "steepest_hz_mm": 30.0}
AS_MEASURED = {"curvature": np.inf, "steepest_hz_mm": 30.0}


@pytest.fixture
def ball():
    """Return mask, true field in Hz (a quadratic) and magnitude of a round object."""
    x = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2).T / 10.0
    radius = np.sqrt(np.sum(x**2, axis=0))
    field = 30.0 + 60.0 * x[1] + 70.0 * x[1] * x[2] - 40.0 * x[0] ** 2
    return radius < 0.95, field, np.where(radius < 0.95, 1000.0 * (1.2 - radius / 2), 0.0)


def noisy_phase(field, magnitude, mask, rng, snr=30.0, delta_s=DELTA_S):
    """Return the wrapped phase of a complex signal with noise of 1000 / snr."""
    signal = magnitude * np.exp(2j * np.pi * field * delta_s)
    noise = rng.normal(size=(2, *SHAPE)) * 1000.0 / snr
    return np.angle(signal + noise[0] + 1j * noise[1])


# Phase units ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-4096, 4094], "siemens_signed"),
        ([0, 4095], "siemens_unsigned"),
        ([0, 4094], "siemens_unsigned"),
        ([-3.14159, 3.1408], "radians"),
        ([0.001, 6.2826], "radians_positive"),
        ([-2048, 2047], "signed_12bit"),
        ([-3141, 3141], "milliradians"),
        ([-1.2, 2.2], "radians"),
        ([-3900, 3500], "siemens_signed"),
    ],
)
def test_known_ranges_are_recognised(values, expected):
    assert detect_phase_range(np.array(values)) == expected


@pytest.mark.parametrize("values", [[0, 3000], [-1500, 1800], [-0.0036, 0.0036], [0, 70000]])
def test_unclear_ranges_name_the_file_and_what_to_give(values):
    with pytest.raises(MetadataError, match=r"sub-01_phase\.nii.*stored values that mean -pi"):
        phase_to_radians(np.array(values), name="sub-01_phase.nii")


@pytest.mark.parametrize("key", list(PHASE_RANGES))
def test_differences_of_scaled_series_are_those_of_the_phases(key, rng):
    start, end = PHASE_RANGES[key]
    stored = rng.uniform(start, end, (2, 3000)).astype(np.float32)
    stored[:, :2] = start, end
    exact = [phase_to_radians(image, value_range=key) for image in stored]
    scaled = [series_to_radians(image.copy(), name="x") for image in stored]
    difference = np.exp(1j * (exact[1] - exact[0])) * np.exp(1j * (scaled[0] - scaled[1]))
    np.testing.assert_allclose(np.abs(np.angle(difference)), 0, atol=1e-4)
    given = series_to_radians(stored[1].copy(), value_range=(start, end), name="x")
    np.testing.assert_allclose(given, scaled[1], rtol=1e-6)
    with pytest.raises(MetadataError, match="lie outside the range"):
        series_to_radians(stored[1] * 3, value_range=(start, end), name="x")


@pytest.mark.parametrize("key", ["siemens_signed", "siemens_unsigned", "signed_12bit"])
def test_scaling_comes_from_the_range_not_from_the_extremes(key):
    low, high = PHASE_RANGES[key]
    centre, quarter = (low + high) / 2, (high - low) / 4
    part = np.array([centre, centre + quarter, centre - quarter / 2])
    np.testing.assert_allclose(
        phase_to_radians(part, value_range=key), [0, np.pi / 2, -np.pi / 4], atol=1e-6
    )


def test_explicit_pair_of_numbers(rng):
    truth = rng.uniform(-3.1, 3.1, 50)
    stored = truth * 0.0036744 / np.pi
    back = phase_to_radians(stored, value_range=(-0.0036744, 0.0036744))
    np.testing.assert_allclose(back, truth, atol=1e-5)


def test_units_rad_accepts_unwrapped_values_and_refuses_stored_integers():
    np.testing.assert_allclose(
        phase_to_radians(np.array([0.5, 7.0]), units="rad"), [0.5, 7.0 - 2 * np.pi], atol=1e-6
    )
    with pytest.raises(MetadataError, match="lie outside"):
        phase_to_radians(np.array([0.0, 4095.0]), units="rad")


def test_not_finite_phase_stays_marked():
    out = phase_to_radians(np.array([0.0, np.nan, 4095.0]), value_range="siemens_unsigned")
    assert np.isnan(out[1])
    assert np.isfinite(out[[0, 2]]).all()


def test_values_outside_the_given_range_are_refused():
    with pytest.raises(MetadataError, match=r"-4096\.\.4094 lie outside"):
        phase_to_radians(np.array([-4096, 4094]), value_range="siemens_unsigned")


def test_unknown_and_empty_ranges_are_refused():
    with pytest.raises(MetadataError, match="not known"):
        phase_to_radians(np.array([0.0, 1.0]), value_range="philips")
    with pytest.raises(MetadataError, match="below the second"):
        phase_to_radians(np.array([0.0, 1.0]), value_range=(1.0, 1.0))


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, np.nan)])
def test_an_image_without_phase_is_refused(values):
    with pytest.raises(DataError, match="no phase in it"):
        phase_to_radians(values)


# Field ------------------------------------------------------------------------------------------


def test_phasediff_recovers_the_field_under_noise(ball, rng):
    mask, field, magnitude = ball
    phase = noisy_phase(field, magnitude, mask, rng)
    hz = gre.phasediff_to_hz(phase, magnitude, mask, delta_te_s=DELTA_S, affine=AFFINE, **FIELD)
    raw = np.angle(np.exp(1j * phase)) / (2 * np.pi * DELTA_S)
    assert hz.dtype == np.float32
    assert np.sqrt(np.mean((hz - field)[mask] ** 2)) < 2.5
    assert np.sqrt(np.mean((raw - field)[mask] ** 2)) > 6.0


def test_dim_voxels_count_by_their_magnitude(ball, rng):
    mask, field, magnitude = ball
    dim = mask & (rng.random(SHAPE) < 0.3)
    magnitude = np.where(dim, 0.02 * magnitude, magnitude)
    phase = noisy_phase(field, magnitude, mask, rng)
    hz = gre.phasediff_to_hz(phase, magnitude, mask, delta_te_s=DELTA_S, affine=AFFINE, **FIELD)
    assert np.sqrt(np.mean((hz - field)[mask] ** 2)) < 3.0


def test_wraps_are_removed(ball, rng):
    mask, field, magnitude = ball
    delta = 8e-3  # wraps beyond 62.5 Hz
    phase = noisy_phase(field, magnitude, mask, rng, snr=100.0, delta_s=delta)
    assert np.mean(np.abs(field[mask]) > 62.5) > 0.01
    hz = gre.phasediff_to_hz(phase, magnitude, mask, delta_te_s=delta, affine=AFFINE, **AS_MEASURED)
    assert np.abs(hz - field)[mask].max() < 10.0


def test_a_turn_added_everywhere_changes_nothing(ball):
    mask, field, magnitude = ball
    options = {"delta_te_s": DELTA_S, "affine": AFFINE, **FIELD}
    phase = 2 * np.pi * field * DELTA_S
    a = gre.phasediff_to_hz(phase, magnitude, mask, **options)
    b = gre.phasediff_to_hz(phase + 2 * np.pi, magnitude, mask, **options)
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_parts_without_contact_get_one_turn_number(ball):
    mask, _, _ = ball
    mask = mask.copy()
    mask[11:13] = False
    phase = np.full(SHAPE, 2.9)
    phase[12:] = 3.4 - 2 * np.pi
    out = gre.unwrap(phase, mask, core=mask)
    assert np.abs(out[mask][0] - out[mask][-1]) == pytest.approx(0.5, abs=1e-9)


def test_two_phases_cancel_the_common_offset_and_set_the_sign(ball):
    mask, field, magnitude = ball
    offset = 5.0 * np.cos(np.indices(SHAPE)[0] / 4.0)
    phases = [np.angle(np.exp(1j * (offset + 2 * np.pi * field * te))) for te in (5e-3, 6.02e-3)]
    options = {"affine": AFFINE, **AS_MEASURED}
    hz = gre.twophase_to_hz(*phases, magnitude, mask, te1_s=5e-3, te2_s=6.02e-3, **options)
    np.testing.assert_allclose(hz[mask], field[mask], atol=1e-2)
    with pytest.raises(MetadataError, match="EchoTime2 > EchoTime1"):
        gre.twophase_to_hz(*phases, magnitude, mask, te1_s=6.02e-3, te2_s=5e-3, **options)


def test_smoothing_leaves_a_constant_and_extrapolates_it(ball):
    mask, _, magnitude = ball
    hz = gre.regularise(np.full(SHAPE, 42.0), magnitude**2, mask, affine=AFFINE, fwhm_mm=6.0)
    np.testing.assert_allclose(hz, 42.0, atol=1e-3)


def test_low_magnitude_voxels_do_not_spread(ball):
    mask, _, magnitude = ball
    field = np.zeros(SHAPE)
    weight = magnitude**2
    field[12, 14, 10], weight[12, 14, 10] = 500.0, 1.0
    hz = gre.regularise(field, weight, mask, affine=AFFINE, fwhm_mm=6.0)
    assert np.abs(hz).max() < 0.01


def test_extrapolation_is_continuous_at_the_edge(ball):
    mask, field, magnitude = ball
    hz = gre.regularise(field, magnitude**2, mask, affine=AFFINE, fwhm_mm=6.0)
    assert np.isfinite(hz).all()
    steps = [np.abs(np.diff(hz, axis=axis)).max() for axis in range(3)]
    true = [np.abs(np.diff(field, axis=axis)).max() for axis in range(3)]
    assert np.all(np.array(steps) <= 1.5 * np.array(true))
    assert hz.min() >= field[mask].min() - 1
    assert hz.max() <= field[mask].max() + 1


def test_not_finite_phase_in_the_mask_is_filled(ball):
    mask, field, magnitude = ball
    phase = 2 * np.pi * field * DELTA_S
    phase[11:13, 13:15, 9:11] = np.nan
    hz = gre.phasediff_to_hz(phase, magnitude, mask, delta_te_s=DELTA_S, affine=AFFINE, **FIELD)
    np.testing.assert_allclose(hz[12, 14, 10], field[12, 14, 10], atol=4.0)


@pytest.mark.parametrize("delta", [0.0, -1e-3, 1.02, np.nan])
def test_wrong_echo_times_are_refused(ball, delta):
    mask, field, magnitude = ball
    with pytest.raises(MetadataError, match="must be given in seconds"):
        gre.phasediff_to_hz(field, magnitude, mask, delta_te_s=delta, affine=AFFINE, **FIELD)


def test_images_without_signal_or_of_other_size_are_refused(ball):
    mask, field, magnitude = ball
    options = {"delta_te_s": DELTA_S, "affine": AFFINE, **FIELD}
    with pytest.raises(DataError, match="positive magnitude"):
        gre.phasediff_to_hz(field, np.zeros(SHAPE), mask, **options)
    with pytest.raises(GridMismatchError, match="differ in size"):
        gre.phasediff_to_hz(field, magnitude[:-1], mask, **options)
    with pytest.raises(DataError, match="finite value and a positive weight"):
        gre.regularise(np.full(SHAPE, np.nan), magnitude, mask, affine=AFFINE, fwhm_mm=5.0)


@pytest.mark.parametrize(
    ("units", "factor"), [("Hz", 1), ("rad/s", 1 / (2 * np.pi)), ("T", 42577478.518)]
)
def test_direct_field_units(units, factor):
    out = gre.field_to_hz(np.array([[[1.0, np.nan]]]), units=units)
    np.testing.assert_allclose(out, [[[factor, 0.0]]], rtol=1e-6)


@pytest.mark.parametrize("units", [None, "ppm", ""])
def test_direct_field_without_units_is_refused(units):
    with pytest.raises(MetadataError, match=r"'Hz', 'rad/s' or 'T'"):
        gre.field_to_hz(np.ones((1, 1, 1)), units=units)


# Time -------------------------------------------------------------------------------------------


# Real data --------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_a_block_of_brain_without_air_is_all_object(real_data):
    from mebold.files import images

    folder = real_data / "gre7t-3echo-magphase"
    phases, affine = images.load(folder / "Phase.nii.gz")
    magnitudes, _ = images.load(folder / "Mag.nii.gz")
    mask = gre.magnitude_mask(magnitudes[..., 0], affine)
    assert mask.mean() > 0.6  # the outline of a brain that is searched for covers 2 %
    wide = {"value_range": (-0.0036744, 0.0036744)}
    first, second = (phase_to_radians(phases[..., echo], **wide) for echo in (0, 1))
    options = {"te1_s": 0.004, "te2_s": 0.008, **AS_MEASURED}
    hz = gre.twophase_to_hz(first, second, magnitudes[..., 0], mask, affine=affine, **options)
    raw = np.angle(np.exp(1j * (second.astype(float) - first))) / (2 * np.pi * 0.004)
    turns = np.round((hz - raw)[mask] * 0.004)
    np.testing.assert_allclose((hz - raw)[mask] - turns / 0.004, 0.0, atol=1e-3)
    assert np.median(hz[mask]) == pytest.approx(-12, abs=5)  # the published -12 Hz is of all voxels


@pytest.mark.realdata
def test_bottle_field_is_within_the_published_percentiles(real_data):
    from mebold.files import images

    folder = real_data / "fmap-siemens-phantom"
    phase, affine = images.load(folder / "Si_3_gre_field_magph_e2_ph.nii.gz")
    magnitude, _ = images.load(folder / "Si_2_gre_field_magph_e1.nii.gz")
    mask = magnitude > 0.3 * np.percentile(magnitude, 99)
    hz = gre.phasediff_to_hz(
        phase_to_radians(phase),
        magnitude,
        mask,
        delta_te_s=2.46e-3,
        affine=affine,
        **FIELD,
    )
    np.testing.assert_allclose(np.percentile(hz[mask], [5, 50, 95]), [-22, 11, 52], atol=6)
