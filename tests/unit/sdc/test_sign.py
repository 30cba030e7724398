import numpy as np
import pytest
from scipy import ndimage
from synthetic_head import make_scene

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines
from mebold.sdc.sign import field_sign_evidence

READOUT_S = 0.025


@pytest.fixture(scope="module")
def distorted():
    """Return a scene whose EPI is distorted along axis 1, and the true shift in voxels."""
    scene = make_scene(np.random.default_rng(8), epi_mm=5.0, shift_mm=2.0, turn_deg=2.0)
    x = [i / n - 0.5 for i, n in zip(np.indices(scene.epi.shape), scene.epi.shape, strict=True)]
    shift = 0.4 + 3.5 * np.exp(-((x[0] / 0.2) ** 2) - ((x[1] - 0.25) / 0.2) ** 2)
    shift = shift - 1.5 * np.exp(-(((x[0] - 0.2) / 0.2) ** 2) - ((x[1] + 0.3) / 0.15) ** 2)
    # The distorted image at q shows the tissue at p with q = p + shift(p): found by iteration.
    index = list(np.indices(scene.epi.shape, dtype=float))
    source = index[1].copy()
    for _ in range(30):
        at = [index[0], source, index[2]]
        source = index[1] - ndimage.map_coordinates(shift, at, order=1, mode="nearest")
    epi = ndimage.map_coordinates(scene.epi, [index[0], source, index[2]], order=1)
    return scene, epi, shift


def evidence(distorted, factor, **options):
    scene, epi, shift = distorted
    return field_sign_evidence(
        epi,
        scene.epi_affine,
        factor * shift / READOUT_S,
        scene.t1w,
        scene.t1w_affine,
        mask=scene.epi_mask,
        anatomy_mask=scene.t1w_mask,
        direction="j",
        readout_s=READOUT_S,
        to_anatomy=np.linalg.inv(scene.truth),
        **options,
    )


@pytest.fixture(scope="module")
def right(distorted):
    return evidence(distorted, 1.0)


def test_the_right_sign_wins(right):
    found = right
    assert found.verdict == "plus"
    assert found.margin > 0
    assert found.margin_z > 3
    assert found.zero_z > 3
    assert found.scores["plus"] > found.scores["zero"] > found.scores["minus"]


def test_the_wrong_sign_is_called_wrong(distorted, right):
    wrong = evidence(distorted, -1.0)
    assert wrong.verdict == "minus"
    assert wrong.margin < 0
    assert wrong.scores["plus"] == pytest.approx(right.scores["minus"])


def test_a_field_without_relation_is_worse_than_none(distorted):
    scene, _, shift = distorted
    found = field_sign_evidence(
        scene.epi,
        scene.epi_affine,
        3.0 * np.sin(np.indices(shift.shape)[0] * 1.1) / READOUT_S,
        scene.t1w,
        scene.t1w_affine,
        mask=scene.epi_mask,
        anatomy_mask=scene.t1w_mask,
        direction="j",
        readout_s=READOUT_S,
        to_anatomy=np.linalg.inv(scene.truth),
    )
    assert found.verdict == "zero"
    assert found.zero_z < -3


def test_a_field_of_nothing_decides_nothing(distorted):
    found = evidence(distorted, 0.0)
    assert found.verdict == "undecided"
    assert found.margin == found.margin_z == found.zero_z == 0.0
    assert found.shift_p95_mm == 0.0


def test_a_mean_shift_that_the_alignment_absorbed_does_not_turn_the_verdict(distorted):
    scene, epi, shift = distorted
    moved = np.eye(4)
    moved[:3, 3] = scene.epi_affine[:3, 1]
    found = field_sign_evidence(
        epi,
        scene.epi_affine,
        shift / READOUT_S,
        scene.t1w,
        scene.t1w_affine,
        mask=scene.epi_mask,
        anatomy_mask=scene.t1w_mask,
        direction="j",
        readout_s=READOUT_S,
        to_anatomy=np.linalg.inv(scene.truth) @ moved,
    )
    assert found.verdict == "plus"


def test_contrast_of_the_anatomy_does_not_matter(distorted):
    scene, epi, shift = distorted
    inverted = np.where(scene.t1w_mask, scene.t1w.max() - scene.t1w, 0.0)
    found = field_sign_evidence(
        epi,
        scene.epi_affine,
        shift / READOUT_S,
        inverted,
        scene.t1w_affine,
        mask=scene.epi_mask,
        anatomy_mask=scene.t1w_mask,
        direction="j",
        readout_s=READOUT_S,
        to_anatomy=np.linalg.inv(scene.truth),
    )
    assert found.verdict == "plus"


def test_unusable_input_is_refused(distorted):
    scene, epi, shift = distorted
    arguments = {
        "mask": scene.epi_mask,
        "anatomy_mask": scene.t1w_mask,
        "direction": "j",
        "readout_s": READOUT_S,
    }
    with pytest.raises(GridMismatchError, match="differ in shape"):
        field_sign_evidence(
            epi, scene.epi_affine, shift[:-1], scene.t1w, scene.t1w_affine, **arguments
        )
    with pytest.raises(DataError, match="anatomy is constant"):
        field_sign_evidence(
            epi, scene.epi_affine, shift, np.zeros_like(scene.t1w), scene.t1w_affine, **arguments
        )
    with pytest.raises(DataError, match="hardly overlap"):
        field_sign_evidence(
            epi,
            scene.epi_affine,
            shift / READOUT_S,
            scene.t1w,
            scene.t1w_affine,
            mask=scene.epi_mask,
            anatomy_mask=np.zeros_like(scene.t1w_mask),
            direction="j",
            readout_s=READOUT_S,
        )
    with pytest.raises(DataError, match="mask is empty"):
        field_sign_evidence(
            epi,
            scene.epi_affine,
            shift / READOUT_S,
            scene.t1w,
            scene.t1w_affine,
            mask=np.zeros_like(scene.epi_mask),
            anatomy_mask=scene.t1w_mask,
            direction="j",
            readout_s=READOUT_S,
        )


def test_size_of_the_correction_is_reported_in_mm(distorted, right):
    scene, _, shift = distorted
    size = affines.voxel_sizes(scene.epi_affine)[1]
    expected = np.percentile(np.abs(shift[scene.epi_mask]), 95) * size
    assert right.shift_p95_mm == pytest.approx(expected, rel=1e-5)
