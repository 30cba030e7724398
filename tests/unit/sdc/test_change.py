"""Change of the field during a run, against a head whose field breathes and that moves."""

from dataclasses import replace

import geometry_cases as cases
import numpy as np
import pytest

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.geometry import affines
from mebold.hmc import track
from mebold.resample.interpolate import field_at_points
from mebold.sdc.change import Static, doubts, field_change, summary, without_change

SHAPE, AFFINE = cases.ORIENTATIONS["oblique"]
HEAD_MM = np.array([50.0, 58.0, 46.0])
ECHO_TIMES = (0.011, 0.02882, 0.04662)
READOUT, DIRECTION, SIGN = 0.0215, "j-", -1
N, TR = 14, 1.9
NOISE = 25.0  # SD of real and of imaginary part, in signals of about 800, 500 and 300
FWHM = 8.0


def static_hz(points):
    """Return a field of up to 110 Hz with slopes of up to 3.7 Hz/mm at world points."""
    front = np.exp(-((points - [5, 35, -15]) ** 2).sum(axis=1) / (2 * 18.0**2))
    return 110.0 * front - 0.4 * points[:, 2] - 10.0


def breathing_hz(points, t):
    """Return a change of up to 4 Hz that fades with the distance from the chest."""
    return 4.0 * np.sin(2 * np.pi * t * TR / 4.3) * np.exp(-(points[:, 2] + 46.0) / 40.0)


def poses(rng, size):
    centre = np.zeros(3)
    steps = rng.normal(0, 1, (N, 6)) * size * ([0.25] * 3 + [0.004] * 3)
    steps[0] = 0
    return np.stack([affines.rigid_matrix(step, centre) for step in steps])


class Scan:
    """Acquire a head: noise, receive phase, a jump of all phases per volume, distortion."""

    def __init__(self, *, motion=1.0, breathing=1.0, noise=NOISE, seed=3):
        rng = np.random.default_rng(seed)
        self.motion = poses(rng, motion)
        self.breathing = breathing
        raw = affines.grid_points(SHAPE, AFFINE)
        self.receive = (0.03 * raw[:, 0] + 1.5 * np.sin(0.04 * raw[:, 1])).astype(np.float32)
        images = [self.volume(rng, t, noise) for t in range(N)]
        self.echoes = np.moveaxis(np.array(images), 0, -1)
        self.magnitudes = [np.abs(e).astype(np.float32) for e in self.echoes]
        self.phases = [np.angle(e).astype(np.float32) for e in self.echoes]
        self.sbref = np.abs(self.volume(rng, None, 0.3 * noise)[0]).astype(np.float32)

    def total(self, points, t):
        static = static_hz(points)
        return static if t is None else static + self.breathing * breathing_hz(points, t)

    def head_points(self, t):
        """Return where in the head each voxel's signal comes from, by fixed point."""
        index = np.indices(SHAPE).reshape(3, -1).T.astype(float)
        pose = np.eye(4) if t is None else self.motion[t]
        back = np.linalg.inv(pose) @ AFFINE
        shift = np.zeros(len(index))
        for _ in range(12):
            there = index.copy()
            there[:, 1] -= shift
            points = affines.apply(back, there)
            shift = SIGN * READOUT * self.total(points, t)
        return points

    def volume(self, rng, t, noise):
        points = self.head_points(t)
        near = np.linalg.norm(points / HEAD_MM, axis=1) < 1.5
        signal, field = np.zeros(len(points)), self.total(points, t)
        signal[near] = cases.head(points[near])
        jump = 0.0 if t is None else rng.uniform(-3, 3)
        out = []
        for te in ECHO_TIMES:
            phase = self.receive + jump + 2 * np.pi * te * field
            z = signal * np.exp(-te / 0.04 + 1j * phase)
            z += noise * (rng.standard_normal(len(z)) + 1j * rng.standard_normal(len(z)))
            out.append(z.reshape(SHAPE))
        return np.array(out, np.complex64)

    @property
    def static(self):
        points = affines.grid_points(SHAPE, AFFINE)
        mask = (np.linalg.norm(self.head_points(None) / HEAD_MM, axis=1) < 1.0).reshape(SHAPE)
        field = static_hz(points).reshape(SHAPE).astype(np.float32)
        return Static(field, mask, AFFINE, DIRECTION, READOUT)

    def change(self, **options):
        options = {"motion": self.motion, "static": self.static, **options}
        return field_change(
            self.magnitudes, self.phases, AFFINE, echo_times_s=ECHO_TIMES, fwhm_mm=FWHM, **options
        )

    def truth(self):
        """Return the true change (V, t), relative to the mean, at raw voxels, and the brain."""
        found, inside = [], []
        for t in range(N):
            points = self.head_points(t)
            found.append(self.total(points, t) - static_hz(points))
            inside.append(np.linalg.norm(points / HEAD_MM, axis=1) < 0.95)
        found = np.array(found).T
        return found - found.mean(axis=1, keepdims=True), np.all(inside, axis=0)


def motion_of(scan, series):
    mask = scan.static.mask
    return track.track(series, scan.sbref, AFFINE, mask=mask).matrices


def displacement_error(scan, motion, change):
    """Return the rms distance (mm) of where output points are read from where they lie."""
    points = affines.grid_points(SHAPE, AFFINE)
    points = points[np.linalg.norm(points / HEAD_MM, axis=1) < 0.9]
    hertz = np.repeat(static_hz(points)[:, None], N, axis=1)
    if change is not None:
        hertz = field_at_points(
            change, AFFINE, points, motion=motion, to_boldref=np.eye(4),
            field_hz=static_hz(points), direction=DIRECTION, readout_s=READOUT,
        )  # fmt: skip
    inverse, squares = np.linalg.inv(AFFINE), []
    for t in range(N):
        read = affines.apply(inverse @ motion[t], points)
        read[:, 1] += SIGN * READOUT * hertz[:, t]
        true = affines.apply(inverse @ scan.motion[t], points)
        true[:, 1] += SIGN * READOUT * scan.total(points, t)
        squares.append((((read - true) @ AFFINE[:3, :3].T) ** 2).sum(axis=1))
    return np.sqrt(np.mean(squares))


@pytest.fixture(scope="module")
def scan():
    return Scan()


@pytest.fixture(scope="module")
def tracked(scan):
    return motion_of(scan, scan.magnitudes[0])


@pytest.fixture(scope="module")
def change(scan, tracked):
    return scan.change(motion=tracked)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_breathing_is_recovered_in_a_head_that_moves(scan, change):
    truth, brain = scan.truth()
    error = change.reshape(-1, N)[brain] - truth[brain]
    assert rms(truth[brain]) > 0.9
    assert rms(error) < 0.2
    assert rms(change.reshape(-1, N)[brain] + truth[brain]) > 1.8


def test_displacement_is_smaller_than_with_the_static_field(scan, tracked, change):
    epi = {"direction": DIRECTION, "readout_s": READOUT}
    motion = motion_of(scan, without_change(scan.magnitudes[0], change, AFFINE, **epi))
    static = displacement_error(scan, tracked, None)
    assert displacement_error(scan, motion, change) < 0.75 * static
    # Motion has taken up most of the change: adding it there corrects twice.
    assert displacement_error(scan, tracked, change) > static
    assert displacement_error(scan, motion, -change) > 2 * static
    # With the motion known, the change is all that is missing.
    known = displacement_error(scan, scan.motion, change)
    assert known < 0.2 * displacement_error(scan, scan.motion, None)


def test_motion_through_the_static_field_is_no_change():
    """The field at a voxel changes by 1.5 Hz rms here, only because the head moves."""
    scan = Scan(motion=3.0, breathing=0.0, noise=5.0)
    change = scan.change()
    _, brain = scan.truth()
    flat = Static(0 * scan.static.field_hz, scan.static.mask, AFFINE, DIRECTION, 1e-9)
    fixed = scan.change(static=flat, motion=np.tile(np.eye(4), (N, 1, 1)))
    assert rms(fixed.reshape(-1, N)[brain]) > 1.2
    assert rms(change.reshape(-1, N)[brain]) < 0.2


def test_phase_of_the_wrong_sign_stops_with_the_evidence(scan, tracked):
    """A scanner whose phase falls with the frequency would double the change."""
    reverse = field_change(
        scan.magnitudes, [-phase for phase in scan.phases], AFFINE, motion=tracked,
        static=replace(scan.static, field_hz=-scan.static.field_hz, direction="j"),
        echo_times_s=ECHO_TIMES, fwhm_mm=FWHM,
    )  # fmt: skip
    truth, brain = scan.truth()
    assert np.corrcoef(reverse.reshape(-1, N)[brain].ravel(), truth[brain].ravel())[0, 1] < -0.95
    with pytest.raises(DataError, match="runs against the fieldmap"):
        field_change(
            scan.magnitudes, [-phase for phase in scan.phases], AFFINE, motion=tracked,
            static=scan.static, echo_times_s=ECHO_TIMES, fwhm_mm=FWHM,
        )  # fmt: skip


def test_volumes_and_voxels_without_signal_are_bridged(scan, tracked):
    magnitudes = [m.copy() for m in scan.magnitudes]
    magnitudes[0][..., 5] = 0
    magnitudes[1][16, 18, 15] = np.nan
    found = field_change(
        magnitudes, scan.phases, AFFINE, motion=tracked, static=scan.static,
        echo_times_s=ECHO_TIMES, fwhm_mm=FWHM,
    )  # fmt: skip
    np.testing.assert_array_equal(found[..., 5], found[..., 4])
    assert np.isfinite(found).all()
    beside = found[15, 18, 15]
    assert rms(found[16, 18, 15] - beside) < 0.5 * rms(beside)
    with pytest.raises(DataError, match="no volume of the first echo"):
        field_change(
            [0 * m for m in magnitudes], scan.phases, AFFINE, motion=tracked, static=scan.static,
            echo_times_s=ECHO_TIMES, fwhm_mm=FWHM,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("echoes", "times", "kind"),
    [(1, ECHO_TIMES[:1], MetadataError), (2, (0.03, 0.02), MetadataError),
     (3, ECHO_TIMES[:2], GridMismatchError)],
)  # fmt: skip
def test_echoes_that_do_not_go_together_are_refused(echoes, times, kind):
    image = np.ones((3, 3, 3, 2), np.float32)
    static = Static(image[..., 0], image[..., 0] > 0, AFFINE, DIRECTION, READOUT)
    with pytest.raises(kind, match="echo"):
        field_change(
            [image] * echoes, [image] * echoes, AFFINE, motion=np.tile(np.eye(4), (2, 1, 1)),
            static=static, echo_times_s=times, fwhm_mm=FWHM,
        )  # fmt: skip


def test_summary_has_units_that_meet_their_definitions(scan, change):
    found = summary(change, AFFINE, scan.static, ECHO_TIMES)
    truth, brain = scan.truth()
    assert found["RootMeanSquare"] == pytest.approx(rms(truth[brain]), rel=0.1)
    assert 1.0 < found["LargestMeanChange"] < 2.5
    assert found["AmbiguousFrom"] == pytest.approx(28.06, abs=0.01)
    assert found["MillimetresPerHertz"] == pytest.approx(0.086)


@pytest.mark.parametrize(("mean", "count"), [(13.0, 0), (15.0, 1)])
def test_a_change_near_half_a_turn_between_echoes_is_doubted(mean, count):
    found = doubts({"LargestMeanChange": mean, "AmbiguousFrom": 28.0})
    assert len(found) == count
    assert all("may have turned" in doubt and "15.0" in doubt for doubt in found)
