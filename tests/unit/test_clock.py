"""Times of day of a session that may run over midnight."""

import numpy as np
import pytest

from mebold import clock


def test_elapsed_time_is_signed_and_crosses_midnight():
    since = 86000.0
    after = clock.elapsed(np.array([85000.0, 86000.0, 100.0]), since)
    np.testing.assert_allclose(after, [-1000.0, 0.0, 500.0])


@pytest.mark.parametrize(
    ("times", "first"),
    [([100.0, 86000.0, None], 86000.0), ([5.0, 3.0], 3.0), ([None], None), ([], None)],
)
def test_the_earliest_of_a_session(times, first):
    assert clock.earliest(times) == first
