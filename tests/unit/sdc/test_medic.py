"""Fields of every volume by another program, and what becomes of them, against an analytic one."""

import sys
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from mebold.errors import ConfigError, DataError
from mebold.geometry import affines
from mebold.sdc import medic
from mebold.sdc.change import Static

SHAPE = (24, 28, 20)
AFFINE = np.diag([-4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [46.0, -54.0, -38.0]
EPI = {"direction": "j-", "readout_s": 0.02}
OFFSETS = np.array([0.0, 3.0, -2.0, -1.0])
MOTION = np.stack(
    [affines.rigid_matrix(np.array([0, y, z, a, 0, 0]), np.zeros(3)) for y, z, a in
     [(0, 0, 0), (1.0, -0.5, 0.02), (-1.0, 0.3, 0.0), (0.5, 0.2, -0.03)]]
)  # fmt: skip


def field(points):
    """Return the field of the head, Hz: smooth, about 60 Hz from end to end."""
    x, y, z = points.T
    return 20 * np.sin(x / 40) + 0.3 * y + 10 * np.cos(z / 30)


@pytest.fixture(scope="module")
def maps():
    """Return native and undistorted fields of a head that moves while the field drifts."""
    points = affines.grid_points(SHAPE, AFFINE)
    native, undistorted = (np.zeros((*SHAPE, len(MOTION)), np.float32) for _ in range(2))
    for t, (matrix, offset) in enumerate(zip(MOTION, OFFSETS, strict=True)):
        back = np.linalg.inv(matrix)
        undistorted[..., t] = (field(affines.apply(back, points)) + offset).reshape(SHAPE)
        hertz = np.zeros(len(points))
        for _ in range(30):  # the signal of voxel v comes from v minus its displacement
            true = points + (hertz * EPI["readout_s"])[:, None] * AFFINE[:3, 1]
            hertz = field(affines.apply(back, true)) + offset
        native[..., t] = hertz.reshape(SHAPE)
    return native, undistorted


INNER = (slice(4, -4),) * 3


def test_the_static_field_follows_the_head(maps):
    grid = {"shape": SHAPE, "boldref_affine": AFFINE}
    found = medic.static_field(maps[1], AFFINE, motion=MOTION, **grid)
    truth = field(affines.grid_points(SHAPE, AFFINE)).reshape(SHAPE) + OFFSETS.mean()
    np.testing.assert_allclose(found[INNER], truth[INNER], atol=0.15)


def test_the_change_is_what_motion_does_not_explain(maps):
    hertz = field(affines.grid_points(SHAPE, AFFINE)).reshape(SHAPE)
    static = Static(hertz, np.ones(SHAPE, bool), AFFINE, **EPI)
    found = medic.change(maps[0], AFFINE, motion=MOTION, static=static)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[INNER], np.broadcast_to(OFFSETS, found[INNER].shape), atol=0.2)


def package(native, undistorted, calls):
    """Return a stand-in for the package's module."""

    def run(phases, magnitudes, times_ms, readout_s, direction, *, n_cpus):
        calls.append((len(phases), len(magnitudes), times_ms, readout_s, direction, n_cpus))
        return [nib.Nifti1Image(m, AFFINE) for m in (native, 0 * native, undistorted)]

    return SimpleNamespace(medic=run)


def run(monkeypatch, native, undistorted):
    calls = []
    monkeypatch.setitem(sys.modules, "warpkit", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "warpkit.distortion", package(native, undistorted, calls))
    series = [np.zeros((*SHAPE, len(MOTION)), np.float32)] * 2
    times = {"echo_times_s": (0.011, 0.029)}
    return medic.fields(series, series, AFFINE, **times, **EPI, n_threads=2), calls


def test_the_package_is_given_its_units(monkeypatch, maps):
    found, calls = run(monkeypatch, *maps)
    assert calls == [(2, 2, [11.0, 29.0], 0.02, "j-", 2)]
    np.testing.assert_array_equal(found[0], maps[0])
    np.testing.assert_array_equal(found[1], maps[1])


def test_no_field_is_an_error(monkeypatch, maps):
    with pytest.raises(DataError, match="found no field"):
        run(monkeypatch, maps[0], np.zeros_like(maps[1]))
    with pytest.raises(DataError, match="found no field"):
        run(monkeypatch, np.full_like(maps[0], np.nan), maps[1])


def test_without_the_package_the_licence_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "warpkit.distortion", None)
    with pytest.raises(ConfigError, match=r"pip install warpkit.*`sdc: dynamic`"):
        medic.fields([], [], AFFINE, echo_times_s=(), **EPI)
