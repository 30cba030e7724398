"""One field in Hz from every kind of fieldmap, and messages for those that cannot be used."""

import numpy as np
import pytest
from geometry_cases import grid
from geometry_cases import head as textured_head

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.fmap import estimate
from mebold.fmap.estimate import Image
from mebold.geometry import affines

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
OPTIONS = {"phase_range": (-4096.0, 4096.0), "pepolar_stiffness": 0.02}
OPTIONS |= {"curvature": 2.0, "steepest_hz_mm": 30.0}


def row(suffix, **keys):
    empty = dict.fromkeys(("echo_time", "echo_time_1", "echo_time_2", "units", "fieldmap_kind"))
    return {**empty, "path": f"sub-01_{suffix}.nii.gz", "suffix": suffix, **keys}


@pytest.fixture
def head():
    grid = np.indices((16, 18, 14)) - np.array([8, 9, 7])[:, None, None, None]
    inside = (grid**2 / np.array([6, 7, 5])[:, None, None, None] ** 2).sum(axis=0) < 1
    field = 20 + 5 * grid[0]
    return inside, field, np.where(inside, 1000.0, 5.0)


def stored(hertz, delta_s):
    return np.angle(np.exp(2j * np.pi * hertz * delta_s)) / np.pi * 4096


def images(kind, volumes, **keys):
    """Return the images of a fieldmap; keys hold the sidecars by suffix."""
    return [
        Image(row(suffix, fieldmap_kind=kind, **keys.get(suffix, {})), data, AFFINE)
        for suffix, data in volumes.items()
    ]


@pytest.fixture
def phasediff(head):
    _, field, magnitude = head
    volumes = {"magnitude1": magnitude, "magnitude2": magnitude, "phasediff": stored(field, 0.002)}
    return images("phasediff", volumes, phasediff={"echo_time_1": 0.005, "echo_time_2": 0.007})


def changed(found, suffix, change):
    """Return the images with the data of one changed."""
    return [
        one._replace(data=change(one.data.copy())) if one.row["suffix"] == suffix else one
        for one in found
    ]


def test_phase_difference(head, phasediff):
    inside, field, magnitude = head
    found = estimate.estimate(phasediff, **OPTIONS)
    assert found.field_hz[inside] == pytest.approx(field[inside], abs=0.5)
    np.testing.assert_array_equal(found.magnitude, magnitude.astype(np.float32))


def test_two_phases_give_the_same_field(head):
    inside, field, magnitude = head
    volumes = {
        "phase1": stored(field, 0.005),
        "phase2": stored(field, 0.007),
        "magnitude1": magnitude,
    }
    times = {"phase1": {"echo_time": 0.005}, "phase2": {"echo_time": 0.007}}
    found = estimate.estimate(images("phases", volumes, **times), **OPTIONS)
    assert found.field_hz[inside] == pytest.approx(field[inside], abs=0.5)


def direct(field, magnitude, units="rad/s"):
    volumes = {"fieldmap": field} | ({} if magnitude is None else {"magnitude": magnitude})
    return images("fieldmap", volumes, fieldmap={"units": units})


def test_direct_field_is_converted(head):
    inside, field, magnitude = head
    found = estimate.estimate(direct(field * 2 * np.pi, magnitude), **OPTIONS)
    assert found.field_hz[inside] == pytest.approx(field[inside], rel=1e-5)


def test_a_direct_field_without_magnitude_says_so_by_zeros(head):
    found = estimate.estimate(direct(head[1], None, "Hz"), **OPTIONS)
    assert not found.magnitude.any()
    np.testing.assert_allclose(found.field_hz, head[1])


@pytest.mark.parametrize("with_magnitude", [True, False])
def test_holes_of_a_direct_field_are_filled_from_around(head, with_magnitude):
    inside, field, magnitude = head
    holed = np.where(inside, field, np.nan)
    holed[8, 9, 7] = np.inf
    found = estimate.estimate(direct(holed, magnitude if with_magnitude else None, "Hz"),
                                    **OPTIONS)  # fmt: skip
    assert np.isfinite(found.field_hz).all()
    measured = np.isfinite(holed)
    np.testing.assert_allclose(found.field_hz[measured], field[measured], rtol=1e-5)
    assert found.field_hz[8, 9, 7] == pytest.approx(field[8, 9, 7], abs=3.0)
    assert found.field_hz[15, 9, 7] > 25.0


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("suffix", ["phasediff", "magnitude1"])
def test_an_image_of_nothing_is_named(phasediff, suffix, value):
    empty = changed(phasediff, suffix, lambda data: np.full_like(data, value))
    with pytest.raises(DataError, match=f"sub-01_{suffix}.nii.gz holds no"):
        estimate.estimate(empty, **OPTIONS)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_direct_field_of_nothing_is_named(head, value):
    with pytest.raises(DataError, match=r"sub-01_fieldmap\.nii\.gz holds one value only"):
        estimate.estimate(direct(np.full_like(head[2], value), head[2], "Hz"), **OPTIONS)


def test_single_voxels_that_are_not_finite_do_no_harm(head, phasediff):
    inside, field, _ = head

    def spoil(data):
        data[7:9, 9, 7] = np.nan
        return data

    for suffix in ("phasediff", "magnitude1"):
        found = estimate.estimate(changed(phasediff, suffix, spoil), **OPTIONS)
        assert np.isfinite(found.field_hz).all()
        assert found.field_hz[inside] == pytest.approx(field[inside], abs=5.0)


def test_images_of_one_fieldmap_must_share_matrix_and_place(phasediff):
    cut = changed(phasediff, "magnitude2", lambda data: data[:-1])
    with pytest.raises(GridMismatchError, match=r"sub-01_magnitude2.* \(15, 18, 14\)"):
        estimate.estimate(cut, **OPTIONS)
    moved = AFFINE.copy()
    moved[0, 3] += 3.0
    shifted = [*phasediff[:2], phasediff[2]._replace(affine=moved)]
    with pytest.raises(GridMismatchError, match=r"sub-01_phasediff.*different places"):
        estimate.estimate(shifted, **OPTIONS)
    series = changed(phasediff, "phasediff", lambda data: np.stack([data, data], axis=-1))
    with pytest.raises(GridMismatchError, match=r"sub-01_phasediff.*one volume"):
        estimate.estimate(series, **OPTIONS)


def test_echo_times_of_the_magnitudes_serve_when_those_of_the_phase_are_missing():
    rows = {
        "phasediff": row("phasediff"),
        "magnitude1": row("magnitude1", echo_time=0.004),
        "magnitude2": row("magnitude2", echo_time=0.006),
    }
    assert estimate.echo_times("phasediff", rows) == (0.004, 0.006)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"phasediff": row("phasediff")}, "lacks EchoTime1 and EchoTime2"),
        ({"phasediff": row("phasediff", echo_time_1=0.007, echo_time_2=0.005)}, "must ascend"),
    ],
)
def test_unusable_echo_times_name_file_and_key(rows, message):
    with pytest.raises(MetadataError, match=message) as raised:
        estimate.echo_times("phasediff", rows)
    assert "sub-01_phasediff.nii.gz" in str(raised.value)


def epi_images(shift):
    """Return a pair of series of two echoes, the later one empty, displaced by some voxels."""
    shape, affine = (34, 38, 30), grid("LAS", (34, 38, 30), (4.4, 4.4, 4.4))
    found = []
    for name, direction, sign in (("AP", "j-", -1), ("PA", "j", 1)):
        points = affines.grid_points(shape, affine) - sign * shift * affine[:3, 1]
        moved = textured_head(points).reshape(shape)
        for te in (0.03, 0.01):
            keys = {"echo_time": te, "component": "mag", "phase_encoding_direction": direction}
            keys |= {"fieldmap_kind": "pepolar", "total_readout_time": 0.02}
            series = np.stack([moved if te == 0.01 else np.zeros_like(moved)] * 3, axis=-1)
            path = f"sub-01_dir-{name}_te-{te}_epi.nii.gz"
            found.append(Image({**row("epi", **keys), "path": path}, series, affine))
    return found


def test_a_pair_of_epi_images_gives_a_field_from_its_first_echoes():
    pair = epi_images(shift=0.8)
    found = estimate.estimate(pair, **OPTIONS)
    inside = found.magnitude > 300
    assert np.median(found.field_hz[inside]) == pytest.approx(0.8 / 0.02, abs=1.0)
    np.testing.assert_array_equal(found.affine, pair[0].affine)
    empty = [one._replace(data=one.data * 0) for one in pair]
    with pytest.raises(DataError, match=r"sub-01_dir-AP_te-0.01_epi.nii.gz holds no positive"):
        estimate.estimate(empty, **OPTIONS)


def test_unsupported_kind_names_the_file(head):
    with pytest.raises(MetadataError, match=r"sub-01_epi\.nii\.gz.*'epi'"):
        estimate.estimate(images("epi", {"epi": head[1]}), **OPTIONS)
