"""Response shapes: stored outputs of the reference, analytic values, failures."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gamma

from mebold.errors import ConfigError
from mebold.singletrial import hrf

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "glmsingle"


@pytest.mark.golden
@pytest.mark.parametrize("case", ["a", "b"])
def test_generated_responses_are_those_of_the_reference(case):
    with np.load(FOLDER / f"case_{case}.npz") as stored:
        tr, stimdur = float(stored["in_tr"]), float(stored["in_stimdur"])
        library, assumed = stored["out_hrflibrary"], stored["out_hrfassume"]
    assert hrf.library(tr, stimdur).shape == library.shape
    assert hrf.assumed(tr, stimdur).shape == assumed.shape
    assert np.abs(hrf.library(tr, stimdur) - library).max() < 5e-6
    assert np.abs(hrf.assumed(tr, stimdur) - assumed).max() < 1e-6


@pytest.mark.parametrize(("tr", "stimdur"), [(1.0, 2.5), (1.6, 4.0), (0.9, 1.2), (2.0, 0.5)])
def test_every_response_peaks_at_one_and_starts_at_zero(tr, stimdur):
    shapes = hrf.library(tr, stimdur)
    assert shapes.dtype == np.float32
    assert shapes.shape == (len(np.arange(0, np.ceil((500 + stimdur * 10) * 0.1), tr)), 20)
    assert np.array_equal(shapes.max(axis=0), np.ones(20, np.float32))
    assert np.abs(shapes[0]).max() < 1e-3
    assert hrf.assumed(tr, stimdur).max() == 1
    # Responses are ordered from early to late peaks, and differ by seconds.
    peaks = np.argmax(shapes, axis=0) * tr
    assert np.all(np.diff(peaks) >= 0)
    assert peaks[-1] - peaks[0] >= 2


def test_last_response_is_a_shifted_gamma_density():
    # Row 19 of the table: no undershoot, onset 4.59 s. A brief stimulus leaves its shape alone.
    times = np.arange(0, 40, 0.1)
    shape = 4.228222579 / 3.154886938
    expected = gamma.pdf(times, shape, loc=4.592529769, scale=3.154886938)
    actual = hrf.library(0.1, 0.1)[: len(times), 19]
    assert np.abs(actual - expected / expected.max()).max() < 1e-3


def test_zero_duration_is_a_tenth_of_a_second_and_halves_round_up():
    assert np.array_equal(hrf.library(1.0, 0), hrf.library(1.0, 0.1))
    assert np.array_equal(hrf.assumed(1.0, 0.25), hrf.assumed(1.0, 0.3))
    assert not np.array_equal(hrf.assumed(1.0, 0.25), hrf.assumed(1.0, 0.2))


def test_longer_stimuli_respond_later_and_longer():
    short, long = hrf.assumed(0.5, 1.0), hrf.assumed(0.5, 6.0)
    assert np.argmax(long) > np.argmax(short)
    assert np.count_nonzero(long > 0.5) > np.count_nonzero(short > 0.5)


@pytest.mark.parametrize(
    ("tr", "stimdur", "message"),
    [(0, 1, "tr is 0 s"), (1, -1, "stimdur is -1 s"), (float("nan"), 1, "tr is nan s")],
)
def test_impossible_times_are_refused(tr, stimdur, message):
    for function in (hrf.library, hrf.assumed):
        with pytest.raises(ConfigError, match=message):
            function(tr, stimdur)
