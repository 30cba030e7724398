"""What size `scanner` adds to the phantom, against formulas and independent computations."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from mebold.errors import ConfigError
from mebold.geometry import affines
from mebold.hmc import steady
from mebold.phantom import (
    anatomy,
    coil,
    contrast,
    fieldmap,
    motion,
    noise,
    physics,
    raw,
    task,
)
from mebold.phantom.dataset import write_dataset
from mebold.phantom.run import session_plan, simulate_run
from mebold.phantom.scene import make_scene
from mebold.phantom.sources import Sphere
from mebold.phantom.spec import make_spec

SCANNER = make_spec("scanner")
BASE = replace(
    SCANNER,
    epi_shape=(30, 36, 20),
    epi_voxel_mm=6.2,
    volumes=8,
    gre_voxel_mm=5.0,
    head_mm=4.0,
    response_percent=0.0,
    baseline_s=3.0,
)
QUIET = {
    "thermal_sigma": 0.0,
    "zero_background": False,
    "drift_percent": 0.0,
    "cardiac_percent": 0.0,
    "respiratory_percent": 0.0,
    "resting_percent": 0.0,
    "field_offset_hz": 0.0,
    "within_run_mm_deg": 0.0,
    "jerk_mm_deg": 0.0,
    "readout_time_s": 0.0,
}
KEYS = ("01", "01", "01")
DENSITY = {"csf": 1.30, "gm": 1.0, "wm": 0.80, "scalp": 0.25, "skull": 0.03}
T1_S = {"csf": 4.4, "gm": 2.1, "wm": 1.2, "scalp": 0.6, "skull": 0.6}


@pytest.fixture(scope="module")
def head():
    return anatomy.make_head(BASE, "01")


@pytest.fixture(scope="module")
def scene(head):
    return make_scene(BASE, head, "01")


@pytest.fixture(scope="module")
def simulate(head, scene):
    def run(number=0, **changes):
        spec = replace(BASE, **changes)
        geometry = motion.session_geometry(spec, "01", "01", head.centre)
        moment = [m for m in session_plan(spec) if m.kind == "run"][number]
        spec = spec.of_run(number)
        order = task.trial_orders(spec, spec.rng("orders"))[number][: spec.shown_trials]
        events = task.events_table(spec, order, {}, spec.rng("events"))
        return simulate_run(spec, scene, geometry, moment, order, events, KEYS)

    return run


@pytest.fixture(scope="module")
def ideal(simulate):
    """No noise, no fluctuations, no motion, no distortion."""
    return simulate(**QUIET)


@pytest.fixture(scope="module")
def gre(head, scene):
    def acquire(**changes):
        spec = replace(BASE, **changes)
        geometry = motion.session_geometry(spec, "01", "01", head.centre)
        return fieldmap.simulate_fieldmap(spec, scene, geometry, session_plan(spec)[0], KEYS)

    return acquire


def at_voxels(scene, volume, truth, shape, to_scan="t1w_to_boldref"):
    """Sample a head map at the voxels of an acquisition, through the truth's matrices."""
    points = affines.grid_points(shape, np.linalg.inv(truth[to_scan]) @ truth["affine"])
    index = affines.apply(np.linalg.inv(scene.affine), points).T
    return ndimage.map_coordinates(volume, index, order=1).reshape(shape)


def magnetisations(tr_s, flip_deg, excitations):
    """Return the magnetisation of each tissue before an excitation, by applying them in turn."""
    found = {}
    for name, t1_s in T1_S.items():
        m = 1.0
        for _ in range(excitations):
            m = 1 + (m * np.cos(np.deg2rad(flip_deg)) - 1) * np.exp(-tr_s / t1_s)
        found[name] = m
    return found


def mixture(scene, truth, shape, flip_deg, magnetisation, to_scan="t1w_to_boldref"):
    """Return the signal at TE 0 of every voxel of an acquisition, without coil."""
    head = sum(DENSITY[name] * m * scene.tissue[name] for name, m in magnetisation.items())
    return np.sin(np.deg2rad(flip_deg)) * at_voxels(scene, head, truth, shape, to_scan)


# Contrast


@pytest.mark.parametrize("flip_deg", [20.0, 65.0, 90.0])
def test_steady_state_is_where_many_excitations_end(flip_deg):
    for name, expected in magnetisations(0.7, flip_deg, 300).items():
        assert contrast.steady_state(T1_S[name], 0.7, flip_deg) == pytest.approx(expected)
    for n in (0, 1, 3):
        for name, expected in magnetisations(0.7, flip_deg, n).items():
            found = contrast.after_excitations(n, T1_S[name], 0.7, flip_deg)
            assert found == pytest.approx(expected)


@pytest.mark.parametrize(("volume", "excitations"), [(0, 0), (1, 1), (3, 3), (5, 300)])
def test_series_approaches_the_steady_state_of_each_tissue(ideal, scene, volume, excitations):
    shape = BASE.epi_shape
    now = mixture(scene, ideal.truth, shape, 65, magnetisations(1.9, 65, excitations))
    rate = at_voxels(scene, scene.r2star, ideal.truth, shape)
    expected = BASE.intensity * now * np.exp(-0.011 * rate) * ideal.truth["receive_bias"]
    expected *= ideal.truth["dropout"][0]
    brain = ideal.truth["brain"] > 0.5
    assert np.abs(ideal.magnitude[0, volume].T - expected)[brain].max() < 1
    # A neighbour of the series differs by more than the tolerance.
    other = ideal.magnitude[0, 4 if volume < 4 else 0].T
    assert np.abs(other - expected)[brain].max() > 3


def test_four_volumes_are_brighter(ideal):
    brain = ideal.truth["brain"] > 0.5
    course = ideal.magnitude[0].astype(float).transpose(0, 3, 2, 1)[:, brain].mean(axis=1)
    excess = course / course[-1] - 1
    # The fourth one by 0.4 %: cerebrospinal fluid alone is not yet steady.
    assert (excess > 0.001).sum() == ideal.truth["n_non_steady_volumes"] == 4
    assert (np.diff(excess[:5]) < 0).all()
    assert not excess[4:].any()


def test_so_few_volumes_are_enough_for_this_protocol():
    left = magnetisations(SCANNER.repetition_time_s, SCANNER.flip_angle_deg, 4)
    steady = magnetisations(SCANNER.repetition_time_s, SCANNER.flip_angle_deg, 300)
    assert max(left[name] / steady[name] - 1 for name in left) < 0.01


def test_sbref_is_relaxed_and_its_csf_bright(ideal, scene):
    shape = BASE.epi_shape
    full = mixture(scene, ideal.truth, shape, 65, dict.fromkeys(T1_S, 1.0))
    steady = mixture(scene, ideal.truth, shape, 65, magnetisations(1.9, 65, 300))
    bright = (ideal.magnitude[0, -1].T > 200) & (ideal.truth["brain"] > 0.5)
    found = ideal.sbref_magnitude[0].T[bright] / ideal.magnitude[0, -1].T[bright]
    np.testing.assert_allclose(found, full[bright] / steady[bright], rtol=0.006)
    csf = at_voxels(scene, scene.tissue["csf"], ideal.truth, shape)[bright]
    assert np.median(found[csf > 0.5]) > 1.2 * np.median(found[csf < 0.05])


def test_gre_has_the_contrast_of_its_own_protocol(gre, scene):
    image = gre(thermal_sigma=0.0, zero_background=False)
    shape = image.truth["field_hz"].shape
    magnetisation = magnetisations(0.55, 50, 300)
    expected = mixture(scene, image.truth, shape, 50, magnetisation, "t1w_to_gre")
    expected *= BASE.intensity * image.truth["receive_bias"]
    rate = at_voxels(scene, scene.r2star, image.truth, shape, "t1w_to_gre")
    brain = at_voxels(scene, scene.tissue["brain"], image.truth, shape, "t1w_to_gre") > 0.5
    pairs = ((image.magnitude1, 0.0050), (image.magnitude2, 0.00602))
    for echo, (magnitude, te) in enumerate(pairs):
        decayed = expected * np.exp(-te * rate) * image.truth["dropout"][echo]
        assert np.abs(magnitude.T - decayed)[brain].max() < 1


def test_csf_is_dark_in_the_gre_and_bright_in_the_sbref():
    sbref, fieldmaps = contrast.reference_weights(BASE), contrast.gre_weights(BASE)
    assert sbref["csf"] / sbref["gm"] == pytest.approx(1.3)
    assert fieldmaps["csf"] < 0.8 * fieldmaps["gm"]


def test_non_steady_volumes_without_t1_are_refused():
    with pytest.raises(ConfigError, match="saturation"):
        make_spec("tiny", non_steady_volumes=4)


# Coil


def test_bias_of_the_array_coil_inside_the_head(head):
    points = affines.grid_points(*anatomy.head_grid(head, 5.0))
    tissue = head.tissue(points)
    inside = (tissue["brain"] + tissue["scalp"] + tissue["skull"]) > 0.5
    bias = coil.sensitivity(points - head.centre, 32)
    low, high = np.percentile(bias[inside], [5, 95])
    assert 2.5 < high / low < 6
    low, high = np.percentile(bias[tissue["brain"] > 0.5], [5, 95])
    assert high / low > 2.5
    assert coil.sensitivity(np.zeros((1, 3)), 32) == pytest.approx(0.5)
    # The field of a loop far away falls with the third power of the distance.
    far = coil.sensitivity(np.array([[0.0, 0.0, 5e3], [0.0, 0.0, 1e4]]), 32)
    assert far[0] / far[1] == pytest.approx(8, rel=0.1)


def test_bias_belongs_to_the_scanner_and_is_that_of_every_image(simulate, gre, ideal):
    moved = simulate(**QUIET, run_offsets_mm_deg=((5.0, 0, 0, 0, 0, 0),))
    assert np.abs(moved.truth["t1w_to_boldref"] - ideal.truth["t1w_to_boldref"]).max() > 4.9
    np.testing.assert_array_equal(moved.truth["receive_bias"], ideal.truth["receive_bias"])
    field_map = gre().truth
    to_gre = np.linalg.inv(field_map["affine"]) @ ideal.truth["affine"]
    index = affines.apply(to_gre, affines.grid_points(BASE.epi_shape, np.eye(4))).T
    sampled = ndimage.map_coordinates(field_map["receive_bias"], index, order=3, mode="nearest")
    inner = np.s_[4:-4, 4:-4, 4:-4]
    sampled = sampled.reshape(BASE.epi_shape)[inner]
    np.testing.assert_allclose(sampled, ideal.truth["receive_bias"][inner], rtol=0.01)


# Field


def test_field_of_a_sphere_is_that_of_a_dipole():
    sphere = Sphere(np.array([1.0, 2.0, 3.0]), 10.0)
    pole, equator, twice, inside = sphere.field_hz(
        sphere.centre + np.array([[0, 0, 10.001], [10.001, 0, 0], [0, 0, -20], [0, 3, 0]])
    )
    # Two thirds and one third of 9.4 ppm of 297.2 MHz.
    assert pole == pytest.approx(1862.6, rel=1e-3)
    assert equator == pytest.approx(-931.3, rel=1e-3)
    assert twice == pytest.approx(pole / 8, rel=1e-3)
    assert inside == 0


def test_field_of_a_sphere_has_no_source_outside_it(rng):
    sphere = Sphere(np.zeros(3), 10.0)
    points = rng.uniform(-40, 40, (200, 3))
    points = points[np.linalg.norm(points, axis=1) > 12]
    step = 0.05
    around = sum(
        sphere.field_hz(points + side * step * axis) for axis in np.eye(3) for side in (-1, 1)
    )
    laplacian = (around - 6 * sphere.field_hz(points)) / step**2
    up = np.array([0.0, 0.0, step])
    along_z = sphere.field_hz(points + up) + sphere.field_hz(points - up)
    curvature = (along_z - 2 * sphere.field_hz(points)) / step**2
    assert np.abs(laplacian).max() < 1e-3 * np.abs(curvature).max()


@pytest.mark.parametrize("seed", [0, 2])
def test_field_has_peaks_near_air_that_fall_off(seed):
    head = anatomy.make_head(replace(SCANNER, seed=seed), "01")
    shape, affine = anatomy.head_grid(head, 2.5)
    points = affines.grid_points(shape, affine)
    brain = points[head.tissue(points)["brain"] > 0.9]
    field_hz = head.field_hz(brain)
    assert 120 < field_hz.max() < 350
    assert -250 < field_hz.min() < -120
    assert np.abs(np.percentile(field_hz, [5, 95])).max() < 45
    for sign in (1, -1):
        centred = sign * (field_hz - np.median(field_hz))
        peak = brain[centred.argmax()]
        distance = np.linalg.norm(brain - peak, axis=1)
        shell = centred[(distance > 19) & (distance < 21)]
        assert np.median(shell) < 0.35 * centred.max()
        # Air lies beside the peak, and outside the brain.
        gaps = [np.linalg.norm(brain - s.centre, axis=1).min() - s.radius_mm for s in head.air]
        assert min(gaps) > 3
        to_air = [np.linalg.norm(peak - s.centre) - s.radius_mm for s in head.air]
        assert min(to_air) < 20


def test_air_has_no_signal(head):
    for sphere in head.air:
        rim = sphere.centre + 0.9 * sphere.radius_mm * np.vstack([np.eye(3), -np.eye(3)])
        assert not any(values.any() for values in head.tissue(rim).values())


def test_signal_drops_where_the_field_changes_through_the_slice(simulate, ideal, head):
    flat = simulate(**QUIET, dephasing=False)
    truth = flat.truth
    from_voxel = np.linalg.inv(truth["t1w_to_boldref"]) @ truth["affine"]
    voxels = np.indices(BASE.epi_shape).reshape(3, -1).T
    half = np.array([0.0, 0.0, 0.5])
    ends = [affines.apply(from_voxel, voxels + side * half) for side in (-1, 1)]
    spread_hz = (head.field_hz(ends[1]) - head.field_hz(ends[0])).reshape(BASE.epi_shape)
    # Where a slice and a voxel of the head are small beside the distance to air.
    nearest = np.min([np.linalg.norm(ends[0] - s.centre, axis=1) for s in head.air], axis=0)
    bright = (flat.magnitude[2, -1].T > 100) & (nearest > 28).reshape(BASE.epi_shape)
    steep = []
    for echo, te in enumerate(BASE.echo_times_s):
        left = ideal.magnitude[echo, -1].T[bright] / flat.magnitude[echo, -1].T[bright]
        expected = np.abs(np.sinc(spread_hz * te))[bright]
        assert np.median(np.abs(left - expected)) < 0.003
        assert np.percentile(np.abs(left - expected), 99.5) < 0.03
        np.testing.assert_allclose(left, ideal.truth["dropout"][echo][bright], atol=0.02)
        steep.append(left[np.abs(spread_hz[bright]) > 12].mean())
    assert steep[0] > steep[1] > steep[2]
    assert steep[2] < 0.6
    assert (flat.truth["dropout"] == 1).all()


def test_decay_of_tissue_alone_is_the_truth(scene, head):
    smooth = make_scene(replace(BASE, dephasing=False), head, "01")
    extra = head.dropout_rate(affines.grid_points(scene.s0.shape, scene.affine))
    found = smooth.r2star - scene.r2star
    np.testing.assert_allclose(found, extra.reshape(scene.s0.shape), atol=1e-3)
    assert extra.max() > 10


# Place


def test_in_grid_is_what_testing_every_pose_says(rng):
    points = rng.uniform(-60, 60, (3000, 3))
    poses = motion.rigid_stack(rng.normal(0, (4, 4, 4, 0.05, 0.05, 0.05), (12, 6)), np.zeros(3))
    matrices = np.linalg.inv(np.array(anatomy.centred_grid(np.zeros(3), 4.0, [90] * 3)[1])) @ poses
    shape = (23, 23, 23)
    expected = np.ones(len(points), dtype=bool)
    for matrix in matrices:
        nearest = np.floor(affines.apply(matrix, points) + 0.5)
        expected &= ((nearest >= 0) & (nearest < shape)).all(axis=1)
    found = physics.in_grid(points, matrices, shape)
    np.testing.assert_array_equal(found, expected)
    assert 0.1 < expected.mean() < physics.in_grid(points, matrices[:1], shape).mean() < 0.5


def test_one_run_leaves_the_field_of_view(simulate, scene, head):
    offsets = SCANNER.run_offsets_mm_deg
    still = {"epi_shape": (30, 36, 12), "epi_voxel_mm": 6.2, "volumes": 2, "aborted_volumes": 0}
    usual, lost = (simulate(number, **still) for number in (1, 2))
    brain = scene.tissue["brain"] > 0.5
    for run in (usual, lost):
        assert not run.truth["in_grid"][~brain].any()
        assert (run.truth["in_grid"] >= run.truth["in_grid_always"]).all()
    gone = usual.truth["in_grid"] & ~lost.truth["in_grid"]
    assert gone.sum() > 0.1 * brain.sum()
    # The head moved up by about 30 mm, so that what lay in the top slices is gone.
    to_usual = np.linalg.inv(usual.truth["affine"]) @ usual.truth["t1w_to_boldref"] @ scene.affine
    slices = affines.apply(to_usual, np.argwhere(gone))[:, 2]
    assert (slices > 11.5 - 40 / 6.2).all()
    assert np.median(slices) > 11.5 - 30 / 6.2
    centre = affines.apply(np.eye(4), head.centre)
    up = [affines.apply(r.truth["t1w_to_boldref"], centre)[2] for r in (usual, lost)]
    assert up[1] - up[0] == pytest.approx(offsets[2][2], abs=2.5)


def test_oriented_grid_holds_the_same_points():
    turn = affines.rigid_matrix([0, 0, 0, 0.1, 0.05, -0.1], np.zeros(3))[:3, :3]
    centre = np.array([3.0, -4.0, 5.0])
    shape, affine = anatomy.centred_grid(centre, 2.0, [10, 12, 14], rotation=turn)
    new_shape, new = anatomy.oriented_grid(shape, affine, "PSR")
    assert nib.aff2axcodes(new) == ("P", "S", "R")
    assert new_shape == (6, 7, 5)
    points, moved = affines.grid_points(shape, affine), affines.grid_points(new_shape, new)
    np.testing.assert_allclose(*(p[np.lexsort(p.T.round(6))] for p in (points, moved)), atol=1e-9)
    np.testing.assert_array_equal(anatomy.oriented_grid(shape, affine, "RAS")[1], affine)


@pytest.mark.parametrize("voxel_mm", [1.5, 3.9])
def test_voxel_of_the_field_maps_is_free(head, voxel_mm):
    spec = replace(SCANNER, gre_voxel_mm=voxel_mm)
    geometry = motion.session_geometry(spec, "01", "01", head.centre)
    np.testing.assert_allclose(affines.voxel_sizes(geometry.gre_affine), voxel_mm)
    extent = voxel_mm * np.array(geometry.gre_shape)
    assert (extent >= 3.4 * np.array(spec.epi_shape)).all()
    sidecar = raw.gre_sidecar(spec, suffix="magnitude1", start_s=0, identifier="a", intended=[])
    assert sidecar["SliceThickness"] == voxel_mm


# Noise and storage


def correlation(complex_noise, lag, axis):
    """Return the absolute correlation of voxels `lag` apart, cyclic."""
    other = np.roll(complex_noise, -lag, axis)
    power = (np.abs(complex_noise) ** 2).mean()
    return np.abs((complex_noise * other.conj()).mean()) / power


@pytest.mark.parametrize("lines", [40, 41])
def test_noise_is_correlated_along_phase_encoding(rng, lines):
    white = rng.standard_normal((2, 4, 20, lines, 60), dtype=np.float32)
    found = noise.partial_fourier(white, 0.75)
    assert found.std() == pytest.approx(1, abs=0.01)
    assert found.dtype == np.float32
    z = found[0] + 1j * found[1]
    acquired = np.arange(round(0.75 * lines))
    for lag in (1, 2, 3):
        expected = np.abs(np.exp(2j * np.pi * acquired * lag / lines).mean())
        assert correlation(z, lag, -2) == pytest.approx(expected, abs=0.01)
    assert correlation(z, 1, -2) > 0.25
    assert correlation(z, 1, -1) < 0.01
    assert correlation(z, 1, -3) < 0.01
    # One end of the spectrum was not acquired, and it is an end: low frequencies are all there.
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(z, axis=-2), axes=-2)).mean(axis=(0, 1, 3))
    missing = spectrum < 1e-3 * spectrum.max()
    assert missing.sum() == lines - len(acquired)
    assert missing[: lines - len(acquired)].all()


def test_white_noise_stays_white(rng):
    white = rng.standard_normal((2, 3, 8, 6), dtype=np.float32)
    assert noise.partial_fourier(white, 1.0) is white


def test_noise_of_a_run_is_correlated_and_has_its_sigma(simulate):
    run = simulate(volumes=2, noise_volumes=12, zero_background=False)
    magnitude = run.magnitude[:, 2:].astype(float)
    z = magnitude * np.exp(1j * (run.phase[:, 2:] * 2 * np.pi / 4096 - np.pi))
    z /= (run.truth["thermal_sigma"] * run.truth["gfactor"]).T
    assert (np.abs(z) ** 2).mean() == pytest.approx(2, rel=0.02)
    assert correlation(z, 1, -2) == pytest.approx(0.3, abs=0.03)
    assert correlation(z, 1, -1) < 0.02


def test_background_is_zero_and_the_brain_is_kept(simulate, gre):
    run = simulate(volumes=2)
    outside = ~run.truth["kept"].T
    assert 0.2 < outside.mean() < 0.8
    for stored in (run.magnitude, run.phase):
        assert not stored[:, :, outside].any()
    for stored in (run.sbref_magnitude, run.sbref_phase):
        assert not stored[:, outside].any()
    # Inside nothing is cut: hardly any voxel of a noisy image is exactly 0.
    assert (run.magnitude[:, :, ~outside] == 0).mean() < 0.01
    image = gre()
    outside = ~image.truth["kept"].T
    for stored in (image.magnitude1, image.magnitude2, image.phasediff):
        assert not stored[outside].any()
    shape = image.truth["field_hz"].shape
    assert 0.2 < outside.mean() < 0.8
    assert (image.magnitude1[~outside] == 0).mean() < 0.02
    assert image.truth["dropout"].shape == (2, *shape)


def test_kept_voxels_hold_the_brain(simulate, ideal):
    # Without distortion, which moves the brain but not the mask of its true place.
    run = simulate(volumes=2, readout_time_s=0.0)
    brain = (run.truth["brain"] > 0.5) & (run.truth["dropout"][0] > 0.3)
    assert run.truth["kept"][brain].mean() > 0.998
    assert ideal.truth["kept"].all()


# Dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scanner") / "raw"
    spec = make_spec(
        "scanner",
        runs=3,
        epi_shape=(22, 28, 12),
        epi_voxel_mm=8.0,
        volumes=19,
        aborted_volumes=11,
        head_mm=5.0,
        t1w_mm=5.0,
        gre_voxel_mm=8.0,
        baseline_s=6.0,
        trials=9,
        blanks=1,
        rare_images=4,
        frequent_images=4,
        frequent_shows=4,
    )
    write_dataset(out, spec)
    return out


def images_of(dataset, suffix):
    return sorted(dataset.rglob(f"*_{suffix}.nii.gz"))


def test_sbrefs_are_of_the_second_echo(dataset):
    names = [path.name for path in images_of(dataset, "sbref")]
    assert len(names) == 3 * 2
    assert all("_echo-2_" in name for name in names)
    assert len(images_of(dataset, "bold")) == 3 * 3 * 2
    for path in dataset.rglob("*phasediff.json"):
        intended = json.loads(path.read_text())["IntendedFor"]
        assert len(intended) == 3 * (3 + 1)
        assert all((dataset / uri.removeprefix("bids::")).exists() for uri in intended)


def test_single_volumes_have_four_dimensions(dataset):
    for suffix in ("sbref", "magnitude1", "magnitude2", "phasediff", "T1w", "T2w"):
        for path in images_of(dataset, suffix):
            shape = nib.load(path).shape
            assert len(shape) == 4, path
            assert shape[3] == 1, path


def test_aborted_run_is_shorter_and_so_are_its_events(dataset):
    lengths = [nib.load(p).shape[3] for p in images_of(dataset, "bold")]
    assert lengths == [19] * 12 + [11] * 6
    tables = [pd.read_csv(p, sep="\t") for p in sorted(dataset.rglob("*events.tsv"))]
    assert [len(table) for table in tables] == [9, 9, 5]
    # Onsets 6.05 s + 3 s x trial: the fifth lies before the end at 20.9 s, a sixth would not.
    assert tables[2]["onset"].max() < 11 * 1.9 < tables[2]["onset"].max() + 3
    with np.load(dataset.with_name("raw-truth") / "sub-01/ses-01/run-03.npz") as truth:
        assert len(truth["motion"]) == 11
        assert truth["trial_amplitude"].shape[1] == len(truth["trial_image"]) == 5
    starts = [
        json.loads(p.with_name(p.name.replace(".nii.gz", ".json")).read_text())["AcquisitionTime"]
        for p in (images_of(dataset, "phasediff")[1], images_of(dataset, "bold")[-1])
    ]
    between = pd.Timedelta(starts[0]) - pd.Timedelta(starts[1])
    assert between.total_seconds() == pytest.approx(11 * 1.9 + 45)


def test_the_size_aborts_its_last_run_two_seconds_after_an_onset():
    last = SCANNER.of_run(SCANNER.runs - 1)
    assert last.volumes < SCANNER.of_run(0).volumes == SCANNER.volumes
    onset = SCANNER.baseline_s + 0.048 + SCANNER.trial_s * (last.shown_trials - 1)
    assert last.volumes * SCANNER.repetition_time_s - onset == pytest.approx(2, abs=0.1)
    assert SCANNER.shown_trials == SCANNER.trials


def middle(path):
    image = nib.load(path)
    return affines.apply(image.affine, (np.array(image.shape[:3]) - 1) / 2)


def test_anatomy_is_far_from_the_epi_and_of_another_scanner(dataset):
    t1w, t2w = images_of(dataset, "T1w")[0], images_of(dataset, "T2w")[0]
    epi = images_of(dataset, "bold")[0]
    assert np.linalg.norm(middle(t1w) - middle(epi)) > 60
    assert np.linalg.norm(middle(t2w) - middle(epi)) > 100
    assert np.linalg.norm(middle(t2w) - middle(t1w)) == pytest.approx(70, abs=3)
    assert nib.aff2axcodes(nib.load(t1w).affine) == ("P", "S", "R")
    assert nib.aff2axcodes(nib.load(t2w).affine) == ("L", "A", "S")
    strengths = [
        json.loads(p.with_name(p.name.replace(".nii.gz", ".json")).read_text())[
            "MagneticFieldStrength"
        ]
        for p in (t1w, t2w, epi)
    ]
    assert strengths == [3, 3, 7]


def test_truth_finds_the_brain_in_images_that_are_far_apart(dataset):
    truth = dataset.with_name("raw-truth") / "sub-01"
    brain = nib.load(truth / "brain.nii.gz")
    inside = affines.apply(brain.affine, np.argwhere(np.asarray(brain.dataobj) > 0.95))
    with np.load(truth / "responses.npz") as responses, np.load(truth / "ses-01/run-01.npz") as run:
        to_image = {"T2w": responses["t1w_to_t2w"], "bold": run["t1w_to_boldref"]}
    to_image["T1w"] = np.eye(4)
    for suffix, matrix in to_image.items():
        image = nib.load(images_of(dataset, suffix)[0])
        index = affines.apply(np.linalg.inv(image.affine) @ matrix, inside).T
        data = np.asarray(image.dataobj)[..., 0].astype(float)
        here = ndimage.map_coordinates(data, index, order=0, mode="constant")
        # The slab of the series is lower than the brain.
        assert (here > 0.1 * np.median(here)).mean() > (0.8 if suffix == "bold" else 0.95), suffix
        assert np.median(here) > 2 * np.median(data), suffix


def test_sidecars_say_what_was_simulated(dataset):
    epi = json.loads(next(dataset.rglob("*run-01_echo-2_part-mag_bold.json")).read_text())
    assert epi["RepetitionTime"] == 1.9
    assert epi["FlipAngle"] == 65
    assert epi["PartialFourier"] == 0.75
    assert epi["NumberOfVolumesDiscardedByScanner"] == 0
    # A third of the lines is read, each with twice as many samples as there are columns.
    line_s = 3 * epi["EffectiveEchoSpacing"]
    assert epi["DwellTime"] * 2 * 22 == pytest.approx(line_s, rel=1e-4)
    first = json.loads(next(dataset.rglob("*run-01_magnitude1.json")).read_text())
    second = json.loads(next(dataset.rglob("*run-01_magnitude2.json")).read_text())
    assert first["RepetitionTime"] == 0.55
    assert first["FlipAngle"] == 50
    assert second["EchoTime"] - first["EchoTime"] == pytest.approx(0.00102)


def test_truth_names_every_documented_key(dataset):
    truth = dataset.with_name("raw-truth")
    readme = (truth / "README.md").read_text()
    for name in ("run-01", "fmap-01"):
        with np.load(truth / "sub-01" / "ses-01" / f"{name}.npz") as found:
            assert [key for key in found.files if f"`{key}`" not in readme] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sbref_echoes": (4,)}, "3 echoes"),
        ({"noise_partial_fourier": 0.3}, "0.5 to 1"),
        ({"run_offsets_mm_deg": ((1.0, 2.0),)}, "three millimetres"),
    ],
)
def test_impossible_parameters_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        make_spec("tiny", **changes)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("bright", [0, 1, 4])
def test_motion_stage_counts_the_bright_volumes(simulate, bright, number):
    # Voxels as in the size itself: the last is brighter by 0.4 %, in the mean of a head.
    fine = {"epi_shape": SCANNER.epi_shape, "epi_voxel_mm": SCANNER.epi_voxel_mm, "volumes": 50}
    found = simulate(number, non_steady_volumes=bright, **fine)
    series = found.magnitude[0].T
    assert steady.count_non_steady(series, found.truth["affine"], least=0.01) == bright
