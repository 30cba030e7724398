"""One field in Hz from every kind of fieldmap, and messages for those that cannot be used."""

import numpy as np
import pytest

from mebold import field_estimate
from mebold.errors import MetadataError

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
OPTIONS = {"phase_range": (-4096.0, 4096.0), "smoothing_mm": 0.0}


def row(suffix, **keys):
    empty = dict.fromkeys(("echo_time", "echo_time_1", "echo_time_2", "units"))
    return {**empty, "path": f"sub-01_{suffix}.nii.gz", **keys}


@pytest.fixture
def head():
    grid = np.indices((16, 18, 14)) - np.array([8, 9, 7])[:, None, None, None]
    inside = (grid**2 / np.array([6, 7, 5])[:, None, None, None] ** 2).sum(axis=0) < 1
    field = 20 + 5 * grid[0]
    return inside, field, np.where(inside, 1000.0, 5.0)


def stored(hertz, delta_s):
    return np.angle(np.exp(2j * np.pi * hertz * delta_s)) / np.pi * 4096


def test_phase_difference(head):
    inside, field, magnitude = head
    images = {"phasediff": stored(field, 0.002), "magnitude1": magnitude, "magnitude2": magnitude}
    rows = {"phasediff": row("phasediff", echo_time_1=0.005, echo_time_2=0.007)}
    found, _ = field_estimate.estimate("phasediff", images, rows, AFFINE, **OPTIONS)
    assert found[inside] == pytest.approx(field[inside], abs=0.5)


def test_two_phases_give_the_same_field(head):
    inside, field, magnitude = head
    images = {
        "phase1": stored(field, 0.005),
        "phase2": stored(field, 0.007),
        "magnitude1": magnitude,
    }
    rows = {"phase1": row("phase1", echo_time=0.005), "phase2": row("phase2", echo_time=0.007)}
    found, _ = field_estimate.estimate("phases", images, rows, AFFINE, **OPTIONS)
    assert found[inside] == pytest.approx(field[inside], abs=0.5)


def test_direct_field_is_converted(head):
    inside, field, magnitude = head
    images = {"fieldmap": field * 2 * np.pi, "magnitude": magnitude}
    rows = {"fieldmap": row("fieldmap", units="rad/s")}
    found, _ = field_estimate.estimate("fieldmap", images, rows, AFFINE, **OPTIONS)
    assert found[inside] == pytest.approx(field[inside], rel=1e-5)


def test_echo_times_of_the_magnitudes_serve_when_those_of_the_phase_are_missing():
    rows = {
        "phasediff": row("phasediff"),
        "magnitude1": row("magnitude1", echo_time=0.004),
        "magnitude2": row("magnitude2", echo_time=0.006),
    }
    assert field_estimate.echo_times("phasediff", rows) == (0.004, 0.006)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"phasediff": row("phasediff")}, "lacks EchoTime1 and EchoTime2"),
        ({"phasediff": row("phasediff", echo_time_1=0.007, echo_time_2=0.005)}, "must ascend"),
    ],
)
def test_unusable_echo_times_name_file_and_key(rows, message):
    with pytest.raises(MetadataError, match=message) as raised:
        field_estimate.echo_times("phasediff", rows)
    assert "sub-01_phasediff.nii.gz" in str(raised.value)


def test_unsupported_kind_names_the_file():
    with pytest.raises(MetadataError, match=r"sub-01_epi\.nii\.gz.*'epi'"):
        field_estimate.estimate("epi", {}, {"epi": row("epi")}, AFFINE, **OPTIONS)
