"""Fields of a session on one grid, and their weights for a run."""

from dataclasses import replace

import numpy as np
import pytest
from geometry_cases import grid, head

from mebold.errors import DataError, MetadataError
from mebold.fmap import session
from mebold.fmap.session import Map
from mebold.geometry import affines

TIMES = [100.0, 0.0, 300.0]
VALUES = np.array([10.0, 0.0, 20.0])


@pytest.mark.parametrize(
    ("at_s", "expected"), [(-50, 0.0), (0, 0.0), (25, 2.5), (100, 10.0), (250, 17.5), (900, 20.0)]
)
def test_interpolation_in_time_is_linear_and_held_at_the_ends(at_s, expected):
    weights = session.time_weights(TIMES, at_s)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ VALUES == pytest.approx(expected)


def test_interpolation_over_midnight():
    weights = session.time_weights([86300.0, 100.0], 86350.0)
    np.testing.assert_allclose(weights, [0.75, 0.25])


def test_maps_without_a_time_are_refused():
    with pytest.raises(MetadataError, match="check AcquisitionTime"):
        session.time_weights([np.nan, 2.0], 0.5)


def test_only_the_maps_of_the_run_count():
    names = ["a", "b", "c"]
    found = session.run_weights(names, TIMES, wanted=["c", "a"], at_s=150.0)
    assert found == pytest.approx({"a": 0.75, "c": 0.25})
    assert session.run_weights(names, TIMES, wanted=["b"], at_s=250.0) == {"b": 1.0}


@pytest.mark.parametrize(("times", "at_s"), [(TIMES, None), ([100.0, None, 300.0], 150.0)])
def test_maps_without_comparable_times_are_averaged(times, at_s):
    found = session.run_weights(["a", "b", "c"], times, wanted=["a", "b"], at_s=at_s)
    assert found == {"a": 0.5, "b": 0.5}


def test_maps_are_weighted_by_name():
    fields = np.stack([np.full((2, 2, 2), v) for v in VALUES], axis=-1)
    found = session.weighted(fields, ["a", "b", "c"], {"c": 0.25, "a": 0.75})
    np.testing.assert_allclose(found, 12.5)
    np.testing.assert_allclose(session.weighted(fields[..., 0], ["a"], {"a": 1.0}), 10.0)


def ramp(points):
    """Return a field in Hz that belongs to the head."""
    return points @ [0.5, -0.8, 0.3]


def test_a_moved_map_is_brought_to_the_first():
    shape, affine = (34, 38, 30), grid("LAS", (34, 38, 30), (4, 4, 4))
    points = affines.grid_points(shape, affine)
    moved = affines.rigid_matrix([2.0, -1.5, 1.0, 0.03, 0.0, -0.02], np.zeros(3))
    seen = affines.apply(np.linalg.inv(moved), points)
    maps = {
        "a": Map(ramp(points).reshape(shape), head(points).reshape(shape), affine),
        "b": Map(ramp(seen).reshape(shape), head(seen).reshape(shape), affine),
    }
    fields, mean = session.on_first_grid(maps)
    inside = maps["a"].magnitude > 300
    error = (fields[..., 1] - fields[..., 0])[inside]
    before = (maps["b"].field_hz - maps["a"].field_hz)[inside]
    assert np.sqrt(np.mean(before**2)) > 1.0
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.corrcoef(mean.magnitude[inside], maps["a"].magnitude[inside])[0, 1] > 0.995


def test_several_maps_need_magnitudes():
    empty = Map(np.ones((4, 4, 4)), np.zeros((4, 4, 4)), np.eye(4))
    with pytest.raises(DataError, match="b has no magnitude"):
        session.on_first_grid({"a": replace(empty, magnitude=np.ones((4, 4, 4))), "b": empty})
    fields, mean = session.on_first_grid({"b": empty})
    assert fields.shape == (4, 4, 4, 1)
    assert not mean.magnitude.any()


def test_maps_of_one_time_share_its_weight():
    np.testing.assert_allclose(session.time_weights([10.0, 10.0], 20.0), [0.5, 0.5])
    weights = session.time_weights([30.0, 10.0, 10.0], 15.0)
    np.testing.assert_allclose(weights, [0.25, 0.375, 0.375])
