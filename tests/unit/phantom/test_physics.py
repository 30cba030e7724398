"""The phantom's physics against formulas and against independent resampling."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import anatomy, fieldmap, fluctuations, motion, task
from mebold.phantom.run import session_plan, simulate_run
from mebold.phantom.scene import make_scene
from mebold.phantom.spec import make_spec

QUIET = {
    "thermal_sigma": 0.0,
    "drift_percent": 0.0,
    "cardiac_percent": 0.0,
    "respiratory_percent": 0.0,
    "resting_percent": 0.0,
    "field_offset_hz": 0.0,
}
STILL = {"within_run_mm_deg": 0.0, "jerk_mm_deg": 0.0}
BASE = make_spec(
    "tiny",
    sessions=("01",),
    epi_shape=(26, 32, 16),
    epi_voxel_mm=6.8,
    multiband=4,
    volumes=20,
    head_mm=4.0,
    trials=6,
    blanks=1,
    rare_images=3,
    frequent_images=2,
    frequent_shows=2,
    baseline_s=6.0,
)
KEYS = ("01", "01", "01")


@pytest.fixture(scope="module")
def head():
    return anatomy.make_head(BASE, "01")


@pytest.fixture(scope="module")
def scene(head):
    return make_scene(BASE, head, "01")


@pytest.fixture(scope="module")
def simulate(head, scene):
    def run(**changes):
        spec = replace(BASE, **changes)
        geometry = motion.session_geometry(spec, "01", "01", head.centre)
        moment = next(m for m in session_plan(spec) if m.kind == "run")
        order = task.trial_orders(spec, spec.rng("orders"))[0]
        events = task.events_table(spec, order, {}, spec.rng("events"))
        return simulate_run(spec, scene, geometry, moment, order, events, KEYS)

    return run


def at_voxels(scene, volume, truth, *, pose=None):
    """Sample a head map at the voxels of the EPI grid, through the truth's matrices."""
    head_to_volume = truth["t1w_to_boldref"] if pose is None else pose @ truth["t1w_to_boldref"]
    points = affines.grid_points(truth["shape"], np.linalg.inv(head_to_volume) @ truth["affine"])
    index = affines.apply(np.linalg.inv(scene.affine), points).T
    return ndimage.map_coordinates(volume, index, order=1).reshape(truth["shape"])


def complex_echoes(magnitude, phase):
    """Return (E, ..., x, y, z) complex from stored integers, as the README says."""
    z = magnitude * np.exp(1j * (phase * 2 * np.pi / 4096 - np.pi))
    return np.moveaxis(z, (-1, -2, -3), (-3, -2, -1))


@pytest.fixture(scope="module")
def ideal(simulate):
    """No noise, no fluctuations, no motion, no distortion."""
    return simulate(**QUIET, **STILL, readout_time_s=0.0)


def test_log_linear_fit_of_the_echoes_returns_t2star(ideal, scene):
    echoes = np.abs(complex_echoes(ideal.sbref_magnitude, ideal.sbref_phase))
    brain = (ideal.truth["brain"] > 0.9) & (echoes[2] > 150)
    te = ideal.truth["echo_times_s"]
    slope = np.polyfit(te, np.log(echoes[:, brain]), 1)[0]
    truth = at_voxels(scene, scene.r2star, ideal.truth)[brain]
    assert brain.sum() > 1000
    np.testing.assert_allclose(-slope, truth, rtol=0.01, atol=0.15)


def test_tissues_have_their_own_t2star(head):
    # Small EPI voxels: hardly any blur, so pure tissue exists.
    sharp = make_scene(replace(BASE, epi_voxel_mm=1.0), head, "01")
    for tissue, seconds in (("gm", 0.033), ("wm", 0.027), ("csf", 0.090)):
        inside = (sharp.tissue[tissue] > 0.98) & (sharp.tissue["brain"] > 0.98)
        assert np.median(1 / sharp.r2star[inside]) == pytest.approx(seconds, rel=0.06)


def test_phase_between_echoes_is_the_field(ideal):
    echoes = complex_echoes(ideal.sbref_magnitude, ideal.sbref_phase)
    brain = (ideal.truth["brain"] > 0.9) & (np.abs(echoes[2]) > 100)
    step = np.diff(ideal.truth["echo_times_s"])[0]
    predicted = np.exp(2j * np.pi * ideal.truth["field_hz"] * step)
    error = np.angle(echoes[1] * np.conj(echoes[0]) * np.conj(predicted))[brain]
    assert np.abs(error).max() < 3 * 2 * np.pi / 4096
    assert np.ptp(ideal.truth["field_hz"][brain]) > 60


@pytest.mark.parametrize(("direction", "sign"), [("j", 1), ("j-", -1)])
def test_uniform_field_moves_the_image_by_field_times_readout(
    simulate, ideal, monkeypatch, direction, sign
):
    def two_voxels(scene, drift_hz):
        return np.full(scene.s0.shape, 100.0, dtype=np.float32)

    monkeypatch.setattr("mebold.phantom.run.field_at", two_voxels)
    run = simulate(**QUIET, **STILL, readout_time_s=0.02, phase_encoding=direction, bias_strength=0)
    flat = simulate(**QUIET, **STILL, readout_time_s=0.0, bias_strength=0)
    moved = run.sbref_magnitude[1].T.astype(int)
    true = flat.sbref_magnitude[1].T.astype(int)
    # A signal that belongs at p is found at p + sign * 0.02 s * 100 Hz = p + sign * 2.
    expected = np.roll(true, 2 * sign, axis=1)
    assert np.abs(moved - expected)[:, 2:-2].max() <= 1
    assert np.abs(moved - true)[:, 2:-2].max() > 300


def test_true_field_undoes_the_distortion(simulate, ideal):
    warped = simulate(**QUIET, **STILL).sbref_magnitude[1].T.astype(float)
    true = ideal.sbref_magnitude[1].T.astype(float)
    field_hz = ideal.truth["field_hz"]
    brain = ideal.truth["brain"] > 0.95
    brain[:, :, [0, -1]] = False

    def undistort(sign):
        where = np.indices(true.shape).astype(float)
        shift = -sign * BASE.readout_time_s * field_hz
        where[1] += shift
        stretch = 1 + np.gradient(shift, axis=1)
        return ndimage.map_coordinates(warped, where, order=3) * stretch

    error = {sign: np.abs(undistort(sign) - true)[brain].mean() for sign in (1, 0, -1)}
    assert error[1] < 0.01 * true[brain].mean()
    assert error[0] > 3 * error[1]
    assert error[-1] > error[0]


def test_distortion_conserves_the_signal_of_every_line(simulate):
    flat = QUIET | STILL | {"bias_strength": 0.0}
    warped = simulate(**flat).sbref_magnitude[0].astype(float).sum(axis=1)
    true = simulate(**flat, readout_time_s=0.0).sbref_magnitude[0].astype(float).sum(axis=1)
    lines = true > 0.4 * true.max()
    assert lines.sum() > 100
    np.testing.assert_allclose(warped[lines], true[lines], rtol=0.015)


def test_motion_matrices_find_every_point_in_its_volume(simulate, scene):
    # One slice group: a volume has one pose, the one at its start.
    run = simulate(
        **QUIET,
        multiband=16,
        readout_time_s=0.0,
        bias_strength=0.0,
        within_run_mm_deg=2.0,
        response_percent=0.0,
    )
    te = run.truth["echo_times_s"][0]
    for t in (3, 15):
        pose = run.truth["motion_start"][t]
        s0 = at_voxels(scene, scene.s0, run.truth, pose=pose)
        rate = at_voxels(scene, scene.r2star, run.truth, pose=pose)
        predicted = BASE.intensity * s0 * np.exp(-te * rate)
        acquired = run.magnitude[0, t].T
        inner = np.s_[1:-1, 1:-1, 1:-1]
        responsive = at_voxels(scene, (scene.voxel_of >= 0) * 1.0, run.truth, pose=pose) > 0
        error = np.abs(acquired - predicted)[inner][~responsive[inner]]
        assert error.max() < 1.5
        still = BASE.intensity * at_voxels(scene, scene.s0, run.truth)
        assert np.abs(still * np.exp(-te * rate) - predicted).max() > 30
    parameters = run.truth["motion_parameters"]
    matrix = affines.rigid_matrix(parameters[7], run.truth["centre"])
    np.testing.assert_allclose(matrix, run.truth["motion"][7], atol=1e-9)


def test_noise_volumes_have_sigma_times_gfactor(simulate):
    run = simulate(noise_volumes=40, volumes=4)
    noise = complex_echoes(run.magnitude[:, 4:], run.phase[:, 4:])
    measured = np.sqrt((np.abs(noise) ** 2).mean(axis=(0, 1)) / 2)
    expected = run.truth["thermal_sigma"] * run.truth["gfactor"]
    ratio = measured / expected
    assert ratio.mean() == pytest.approx(1, abs=0.005)
    # 240 squared normals a voxel: SD of the ratio 1 / sqrt(480).
    assert ratio.std() == pytest.approx(1 / np.sqrt(480), rel=0.1)
    assert run.truth["gfactor"].min() >= 1
    centre = tuple(n // 2 for n in run.truth["shape"])
    assert run.truth["gfactor"][centre] > 1.5
    assert np.abs(noise[0, 0].real.mean()) < 1.5


def test_each_slice_is_acquired_at_its_own_time(simulate, monkeypatch):
    def clock(spec, rng, times_s):
        flat = np.zeros((*times_s.shape, 8), dtype=np.float32)
        return fluctuations.Fluctuations(flat, flat, times_s.astype(np.float32))

    monkeypatch.setattr("mebold.phantom.run.make_fluctuations", clock)
    # A field that grows by 1 Hz a second: the phase between echoes tells the time.
    run = simulate(thermal_sigma=0.0, **STILL, readout_time_s=0.0, response_percent=0.0)
    echoes = complex_echoes(run.magnitude, run.phase)
    step = np.diff(run.truth["echo_times_s"])[0]
    brain = run.truth["brain"] > 0.9
    static = np.exp(2j * np.pi * run.truth["field_hz"] * step)
    for t in (0, 7):
        phase = np.angle(echoes[1, t] * np.conj(echoes[0, t] * static))
        for k in range(3, 13):
            seconds = np.median(phase[:, :, k][brain[:, :, k]]) / (2 * np.pi * step)
            expected = t * BASE.repetition_time_s + BASE.slice_times_s[k]
            assert seconds == pytest.approx(expected, abs=0.03)


def test_percent_signal_grows_with_echo_time(simulate, scene):
    run = simulate(**QUIET, **STILL, readout_time_s=0.0)
    series = run.magnitude.astype(float)
    change = np.log(np.maximum(series.max(axis=1), 1) / np.maximum(series[:, 0], 1))
    strong = np.moveaxis(change, (-1, -3), (-3, -1))
    bright = run.magnitude[2, 0].T > 250
    voxels = (strong[1] > 0.015) & bright
    te = run.truth["echo_times_s"]
    assert voxels.sum() > 50
    for echo in (0, 2):
        slope = np.median(strong[echo][voxels] / strong[1][voxels])
        assert slope == pytest.approx(te[echo] / te[1], rel=0.06)


def test_series_follows_the_true_amplitudes(simulate, scene):
    run = simulate(**QUIET, **STILL, readout_time_s=0.0)
    responses = scene.responses
    lag = np.zeros((len(responses.mean), BASE.volumes), dtype=np.float32)
    # One slice of one voxel at a time: the exact time of slice 8.
    times = np.arange(BASE.volumes) * BASE.repetition_time_s + BASE.slice_times_s[8]
    for trial, onset in enumerate(run.truth["trial_onset_s"]):
        shapes = task.response_functions(times - onset, BASE.stimulus_s)
        lag += run.truth["trial_amplitude"][:, [trial]] * shapes[responses.hrf_index]
    volume = np.zeros(scene.s0.shape)
    predicted = []
    for t in range(BASE.volumes):
        volume[scene.voxel_of >= 0] = lag[:, t]
        predicted.append(at_voxels(scene, volume, run.truth)[:, :, 8])
    predicted = np.moveaxis(np.array(predicted), 0, -1)
    series = np.moveaxis(run.magnitude[1, :, 8].astype(float), 0, -1).transpose(1, 0, 2)
    voxels = (np.ptp(predicted, axis=-1) > 1) & (series[..., 0] > 350)
    series = series[voxels]
    percent = 100 * (series / series[:, :1] - 1)
    assert voxels.sum() >= 5
    # Two roundings by up to 0.5 in 350 are 0.3 percent.
    np.testing.assert_allclose(percent, predicted[voxels], atol=0.3)


def test_thermal_noise_is_the_only_thing_that_sigma_changes(simulate):
    clean, noisy = simulate(thermal_sigma=0.0), simulate(thermal_sigma=10.0)
    for key in ("motion", "field_hz", "trial_amplitude", "field_offset_hz", "t1w_to_boldref"):
        np.testing.assert_array_equal(clean.truth[key], noisy.truth[key])
    brain = clean.truth["brain"] > 0.9
    scale = 10 * clean.truth["gfactor"][brain][:, None]
    difference = (noisy.magnitude[0].astype(float) - clean.magnitude[0]).T[brain] / scale
    assert difference.std() == pytest.approx(1, abs=0.02)
    assert abs(difference.mean()) < 0.02


def test_the_same_seed_gives_the_same_integers(simulate):
    one, two, other = simulate(), simulate(), simulate(seed=1)
    np.testing.assert_array_equal(one.magnitude, two.magnitude)
    np.testing.assert_array_equal(one.phase, two.phase)
    assert (one.magnitude != other.magnitude).mean() > 0.5


def test_signed_phase_spans_the_siemens_range(simulate):
    run = simulate(volumes=2, phase_units="signed")
    assert run.phase.min() == -4096
    assert run.phase.max() == 4094
    assert not (run.phase % 2).any()
    reference = simulate(volumes=2)
    np.testing.assert_array_equal(run.phase, 2 * reference.phase - 4096)


def test_fieldmap_measures_the_field_without_distortion(head, scene):
    geometry = motion.session_geometry(BASE, "01", "01", head.centre)
    moment = session_plan(BASE)[0]
    assert moment.kind == "fieldmap"
    fmap = fieldmap.simulate_fieldmap(BASE, scene, geometry, moment, KEYS)
    hertz = fmap.phasediff.T * np.pi / 4096 / (2 * np.pi * 0.00102)
    strong = fmap.magnitude1.T > 600
    error = (hertz - fmap.truth["field_hz"])[strong]
    assert abs(error.mean()) < 0.5
    # Phase noise sqrt(2) sigma / magnitude over 2 pi x 1.02 ms.
    noise = BASE.sbref_noise * BASE.thermal_sigma / fmap.magnitude1.T[strong]
    expected = np.sqrt(2) * noise / (2 * np.pi * 0.00102)
    assert error.std() == pytest.approx(np.sqrt((expected**2).mean()), rel=0.1)


def test_field_maps_enclose_the_runs_and_the_field_drifts_between(simulate):
    plan = session_plan(BASE)
    assert [m.kind for m in plan] == ["fieldmap", "run", "run", "fieldmap"]
    starts = [m.start_s for m in plan]
    assert starts == sorted(starts)
    slope = np.diff([m.drift_hz for m in plan]) / np.diff(starts)
    np.testing.assert_allclose(slope, slope[0])
    assert plan[-1].drift_hz - plan[0].drift_hz > 0.5 * BASE.field_drift_hz


@pytest.mark.parametrize("size", ["tiny", "demo"])
def test_no_size_folds_the_image(head, size):
    spec = make_spec(size)
    shape, affine = anatomy.head_grid(head, 4.0)
    points = affines.grid_points(shape, affine)
    field_hz = spec.field_peak_hz / BASE.field_peak_hz * head.field_hz(points).reshape(shape)
    steepest = np.abs(np.gradient(field_hz, 4.0)).max() * spec.epi_voxel_mm
    assert steepest * spec.readout_time_s < 0.7


def test_responsive_region_is_a_small_part_of_the_brain(scene):
    share = (scene.voxel_of >= 0).sum() / (scene.tissue["brain"] > 0.5).sum()
    assert 0.05 < share < 0.12
    betas = scene.responses.betas
    assert 0.5 < np.median(scene.responses.mean) < 3
    ratio = betas.std(axis=1) / scene.responses.mean
    np.testing.assert_allclose(ratio, BASE.image_sd, rtol=1e-3)


def test_another_subject_has_another_head(head):
    other = anatomy.make_head(BASE, "02")
    points = head.centre + np.array([[0, 0, 0], [30.0, 20, 10], [-40, 10, 30]])
    apart = np.linalg.norm(head.mni(points) - other.mni(points), axis=1)
    assert (apart > 1).all()


def test_trace_is_zero_at_the_reference_and_smooth():
    trace = motion.make_trace(BASE.rng("m"), BASE)
    np.testing.assert_array_equal(trace.at(-5.0), np.zeros(6))
    matrices = trace.matrices(np.array([[0.0, 1.0], [7.0, 20.0]]), np.array([1.0, 2.0, 3.0]))
    expected = affines.rigid_matrix(trace.at(7.0), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(matrices[1, 0], expected, atol=1e-12)
    steps = np.abs(np.diff(trace.parameters[:, :3], axis=0))
    assert steps.max() < 0.4
