"""How many volumes at the start of a series are not steady: found, given, none where none are."""

import numpy as np
import pytest
from configured import completed
from geometry_cases import ORIENTATIONS, head
from scipy import ndimage

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.hmc import steady
from mebold.hmc.steady import count_non_steady, outlier_run

LEAST = completed({"bids_dir": "raw", "output_dir": "out"})["hmc"]["least_excess"]
SHAPE, AFFINE = ORIENTATIONS["RAS"]
HEAD = head(affines.grid_points(SHAPE, AFFINE)).reshape(SHAPE)
#: Protocols: repetition time (s), flip angle (degrees), T1 of grey matter, white matter, fluid (s).
PROTOCOLS = {
    "3T, TR 1 s": (1.0, 55.0, (1.45, 0.85, 4.2)),
    "3T, TR 2.5 s": (2.5, 80.0, (1.45, 0.85, 4.2)),
    "7T, TR 1.5 s": (1.5, 65.0, (2.1, 1.2, 4.4)),
    "7T, TR 1.9 s": (1.9, 65.0, (2.1, 1.2, 4.4)),
}


def excess(protocol, n):
    """Return how much brighter each tissue (3, n) is before its steady state."""
    tr, flip, times = PROTOCOLS[protocol]
    left = np.exp(-tr / np.array(times))[:, None]
    angle = np.cos(np.deg2rad(flip))
    steady_state = (1 - left) / (1 - angle * left)
    return (1 - steady_state) / steady_state * (angle * left) ** np.arange(n)


def fluctuations(rng, n, tr, *, task=0.0):
    """Return the global signal of a steady run: correlated noise, breathing, drift and task (1)."""
    times = np.arange(n) * tr
    slow = np.zeros(n)
    for k in range(1, n):
        slow[k] = np.exp(-tr / 4) * slow[k - 1] + rng.normal()
    blocks = (times % 40 < 15).astype(float)
    response = times**5 * np.exp(-times)
    found = 0.2 * slow + 0.3 * np.sin(1.7 * times) - 0.5 * times / times[-1]
    return (found + task * np.convolve(blocks, response / response.sum())[:n]) / 100


def series(rng, protocol, bright, *, n=60, task=0.0):
    """Return a series whose tissues lie in alternating shells; the first volumes are bright."""
    tr = PROTOCOLS[protocol][0]
    depth = ndimage.distance_transform_edt(HEAD > 200)
    share = np.stack([depth % 5 < 2, depth % 5 == 2, depth % 5 > 2]).astype(float)
    gain = np.zeros((3, n))
    gain[:, :bright] = excess(protocol, bright)
    course = 1 + fluctuations(rng, n, tr, task=task)
    data = HEAD[..., None] * (1 + np.einsum("cxyz,ct->xyzt", share, gain)) * course
    return (data + rng.normal(0, 15, data.shape)).astype(np.float32)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bright_volumes_are_counted(rng, protocol):
    for bright in range(7):
        found = count_non_steady(series(rng, protocol, bright), AFFINE, least=LEAST)
        left = excess(protocol, 7)[2]  # of fluid, the slowest
        visible = bright if bright == 0 else np.count_nonzero(left[:bright] > 0.02)
        assert visible <= found <= bright


def test_runs_with_task_at_the_start_are_steady(rng):
    signals = [fluctuations(rng, 150, tr, task=t) for tr in (1, 2) for t in (0, 0.5, 1.5) * 60]
    assert np.mean([outlier_run(s, least=LEAST) > 0 for s in signals]) < 0.01


def test_a_small_spread_makes_no_outlier(rng):
    signal = 1e-5 * rng.normal(size=100)
    signal[0] = 0.004
    assert outlier_run(signal, least=0.0) == 1
    assert outlier_run(signal, least=LEAST) == 0


def test_a_step_of_the_head_is_no_relaxation(rng):
    signal = 1e-3 * rng.normal(size=100)
    signal[:3] += 0.02
    assert outlier_run(signal, least=LEAST) == 0


def test_a_dark_start_is_no_relaxation(rng):
    signal = 1e-3 * rng.normal(size=100)
    signal[0] -= 0.3
    assert outlier_run(signal, least=LEAST) == 0


def test_counts_are_those_of_nipype_where_volumes_decay(rng):
    is_outlier = pytest.importorskip("nipype.algorithms.confounds").is_outlier
    for bright in range(6):
        signal = 1e-3 * rng.normal(size=120)
        signal[:bright] += 0.5 * 0.3 ** np.arange(bright)
        expected = is_outlier(1 + signal[:50])
        assert outlier_run(signal, least=0.0) == expected
        assert expected >= min(bright, 4)


def test_a_number_overrides_what_is_seen(rng):
    data = series(rng, "7T, TR 1.9 s", 4, n=20)
    known = {"least": LEAST}
    assert steady.non_steady(data, AFFINE, wanted=0, **known) == (0, steady.GIVEN)
    assert steady.non_steady(data, AFFINE, wanted=6, **known)[0] == 6
    found, origin = steady.non_steady(data, AFFINE, wanted="auto", **known)
    assert (found, origin) == (4, steady.FOUND)
    with pytest.raises(DataError, match="at least two must be steady"):
        steady.non_steady(data, AFFINE, wanted=19, **known)


def test_short_and_empty_series_have_none():
    assert count_non_steady(np.ones((5, 5, 5, 2)), np.eye(4), least=LEAST) == 0
    assert count_non_steady(np.zeros((5, 5, 5, 9)), np.eye(4), least=LEAST) == 0
