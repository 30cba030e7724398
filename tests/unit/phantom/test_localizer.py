"""The phantom's localizer: blocks, places that prefer a category, and nothing without it."""

import numpy as np
import pytest

from mebold.phantom import localizer
from mebold.phantom.spec import make_spec

SPEC = make_spec("tiny", localizer_runs=2, localizer_lacks="bodies", localizer_volumes=130)


def test_blocks_fill_the_run_and_the_last_lacks_a_category(rng):
    first, last = (localizer.events(SPEC, index, rng) for index in (0, 1))
    counts = first["trial_type"].value_counts()
    assert set(counts.index) == {*localizer.CATEGORIES, "rest"}
    assert counts.nunique() == 1
    assert "bodies" not in set(last["trial_type"])
    end = first["onset"].iloc[-1] + first["duration"].iloc[-1]
    assert end <= SPEC.localizer_volumes * SPEC.repetition_time_s
    np.testing.assert_allclose(np.diff(first["onset"]), SPEC.localizer_block_s)


def test_places_and_responses(rng):
    centre = np.array([localizer.CENTRES_MM["faces"], (0.0, 0, 0), localizer.CENTRES_MM["faces"]])
    found = localizer.preferences(SPEC, centre, np.array([1.0, 1, 0.2]))
    assert found.tolist() == [0, -1, -1]  # the last is outside of the brain
    assert localizer.preferences(make_spec("tiny"), centre, np.ones(3)).tolist() == [-1] * 3
    table = localizer.events(SPEC, 0, rng)
    size = localizer.amplitudes(SPEC, found[:2], table)
    own, others = SPEC.localizer_percent
    wanted = np.where(table["trial_type"] == "faces", own, others)
    np.testing.assert_array_equal(size[0], np.where(table["trial_type"] == "rest", 0, wanted))
    assert not size[1].any()


def test_balls_of_two_categories_share_no_place():
    centres = np.array(list(localizer.CENTRES_MM.values()), dtype=float)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    assert apart[apart > 0].min() > 2 * SPEC.localizer_radius_mm


def test_runs_of_the_localizer_come_last_and_are_longer():
    assert SPEC.of_run(SPEC.runs - 1) == SPEC
    later = SPEC.of_run(SPEC.runs)
    assert (later.volumes, later.task) == (130, "floc")
    assert later.thermal_sigma == pytest.approx(SPEC.thermal_sigma)
