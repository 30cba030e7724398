"""A link of the chain: one reference image to the next, of an analytic head."""

import numpy as np
import pytest
from geometry_cases import ORIENTATIONS, head

from mebold.coreg import chain
from mebold.geometry import affines

SMOOTHING = {"fwhm_mm": 3.0, "fwhm_voxels": 1.0, "coarse_mm": 8.0}


def test_the_link_leads_from_the_reference_to_the_moving_image(rng):
    shape, affine = ORIENTATIONS["RAS"]
    points = affines.grid_points(shape, affine)
    truth = affines.rigid_matrix([3.0, -2.0, 1.0, 0.0, 0.0, np.deg2rad(4)], np.zeros(3))
    shift = np.eye(4)
    shift[:3, 3] = 1.5  # grids of their own
    other = shift @ affine
    seen = affines.apply(np.linalg.inv(truth), affines.grid_points(shape, other))
    moving = head(seen) + rng.normal(0, 5, len(points))
    reference = head(points) + rng.normal(0, 5, len(points))
    mask = (head(points) > 200).reshape(shape)
    matrix, quality = chain.to_reference(
        moving.reshape(shape).astype(np.float32), other,
        reference.reshape(shape).astype(np.float32), affine,
        mask=mask, smoothing=SMOOTHING,
    )  # fmt: skip
    brain = affines.grid_points(shape, affine, mask)
    assert affines.displacements(matrix, truth, brain).max() < 0.2
    assert set(quality) == {"correlation", "overlap", "converged", "shift_mm", "rotation_deg"}
    assert quality["correlation"] > 0.95
    assert quality["converged"]
    assert quality["rotation_deg"] == pytest.approx(4.0, abs=0.2)
    largest = affines.displacements(truth, np.eye(4), brain).max()
    assert quality["shift_mm"] == pytest.approx(largest, abs=0.2)
