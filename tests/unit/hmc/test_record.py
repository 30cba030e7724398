"""What is written about motion."""

import numpy as np
import pandas as pd

from mebold.geometry import affines
from mebold.hmc import record


def test_the_centre_of_a_mask_lies_in_the_world():
    mask = np.zeros((6, 5, 4), bool)
    mask[2:4, 1, 3] = True
    affine = affines.rigid_matrix([5.0, -3.0, 2.0, 0.2, 0.1, -0.3], np.zeros(3))
    expected = affines.apply(affine, np.array([2.5, 1.0, 3.0]))
    np.testing.assert_allclose(record.centre_of(mask, affine), expected)


def test_traces_are_the_parameters_and_the_displacement():
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    table = pd.DataFrame({"framewise_displacement": [np.nan, 0.5]})
    table[names] = np.arange(12.0).reshape(2, 6)
    parameters, displacement = record.traces(table)
    np.testing.assert_array_equal(parameters, np.arange(12.0).reshape(2, 6))
    np.testing.assert_array_equal(displacement, [np.nan, 0.5])
