"""Samples outside the field of view."""

import numpy as np

from mebold.resample import gaps


def test_a_gap_is_a_line_between_its_neighbours_and_held_at_the_ends():
    inside = np.ones((3, 6), bool)
    inside[0, 2:4] = False
    inside[1, :2] = inside[1, 5:] = False
    data = np.array([[1.0, 2, 0, 0, 8, 9], [0, 0, 3, 4, 7, 0], [5, 0, 6, 7, 8, 9]])
    found = gaps.bridge(np.stack([data, 10 * data]), inside)
    wanted = [[1, 2, 4, 6, 8, 9], [3, 3, 3, 4, 7, 7], [5, 0, 6, 7, 8, 9]]
    np.testing.assert_allclose(found, [np.array(wanted), 10 * np.array(wanted)])


def test_steady_samples_are_bridged_from_steady_samples():
    inside = np.array(
        [[True, True, False, True], [False, True, False, True], [True, True, False, False]]
    )
    data = np.array([[[9.0, 9.0, 0, 2.0], [0, 9.0, 0, 4.0], [9.0, 8.0, 0, 0]]])
    found = gaps.bridge(data, inside, early=2)[0]
    np.testing.assert_allclose(found, [[9, 9, 2, 2], [9, 9, 4, 4], [9, 8, 8, 8]])
