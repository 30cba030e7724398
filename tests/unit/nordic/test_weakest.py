"""Maps, numbers and words about the weakest response that survives."""

import numpy as np
import pytest

from mebold.nordic import weakest

ASKED = {"responding_share": 0.1, "kept_share": 0.5}


def run(*, appended=0, trailing=0, threshold=25.0):
    shape, n = (16, 16, 16), 60
    rng = np.random.default_rng(0)
    magnitude = 500 + 10 * rng.standard_normal((*shape, n + trailing))
    magnitude[:3] = magnitude[-3:] = 2.0
    magnitude[..., n:] = 10.0
    made = {
        "Complex": False,
        "NoiseVolumes": {"AtTheEnd": trailing, "SeparateScan": appended},
        "Result": {"threshold": threshold, "kernel_size": [8, 8, 8]},
    }
    maps = {name: np.full(shape, 10.0) for name in ("gfactor", "noise_sd")}
    rows = np.random.default_rng(1).standard_normal((20, n))
    options = {"patch_overlap": 2, "compat": False, **ASKED}
    return weakest.maps(magnitude, rows, made, **maps, **options)


def test_noise_volumes_are_no_signal_but_count_as_columns():
    plain, head = run()
    assert head[8, 8, 8]
    assert not head[0, 8, 8]
    trailing, same = run(trailing=60)
    np.testing.assert_array_equal(head, same)
    appended, _ = run(appended=60)
    for kind in ("shared", "images"):
        # The signal is that of the volumes with excitation, so both kinds of noise scan agree.
        np.testing.assert_allclose(trailing[kind], appended[kind], rtol=1e-3)
        assert not np.allclose(trailing[kind], plain[kind], rtol=5e-3)


def test_a_limit_that_is_passed_is_a_warning_with_numbers():
    found, head = run()
    quiet = weakest.record(found, head, origin="9 trials", weakest_limit_percent=50.0, **ASKED)
    assert quiet["Warnings"] == []
    assert quiet["WeakestResponse"] == pytest.approx(np.median(found["shared"][head]))
    assert quiet["WeakestDifference"] > 2 * quiet["WeakestDifferenceAlongOneDimension"] > 0
    assert "10 % of the voxels" in quiet["Summary"]
    assert "9 trials" in quiet["Summary"]
    low = quiet["WeakestResponse"] / 2
    loud = weakest.record(found, head, origin="9 trials", weakest_limit_percent=low, **ASKED)
    assert len(loud["Warnings"]) == 1
    assert f"{quiet['WeakestResponse']:.2g} %" in loud["Warnings"][0]


def test_where_nothing_survives_the_words_say_so():
    found, head = run(threshold=1e9)
    said = weakest.record(found, head, origin="9 trials", weakest_limit_percent=2.0, **ASKED)
    assert "above 100 %" in said["Summary"]
    assert said["Warnings"]
