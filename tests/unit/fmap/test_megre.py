"""B0 from the phase of several echoes: wraps, coil phase and noise, against a known field."""

import logging

import numpy as np
import pytest

from mebold.errors import MetadataError
from mebold.fmap import megre

TE = (0.004, 0.0085, 0.013, 0.0175, 0.022)
AFFINE = np.diag([3.5, 3.5, 3.5, 1.0])
OPTIONS = {"affine": AFFINE, "curvature": 2.0, "steepest_hz_mm": 20.0}


@pytest.fixture(scope="module")
def head():
    """A head with a field of -40 to 140 Hz: the phase of the last echo goes round three times."""
    shape = (44, 52, 40)
    x, y, z = (np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2) * 3.5
    inside = (x / 62) ** 2 + (y / 78) ** 2 + (z / 58) ** 2 < 1
    near_air = np.exp(-((y - 70) ** 2 + x**2 + (z + 20) ** 2) / (2 * 26.0**2))
    field = -40 + 180 * near_air + 10 * z / 60
    coil = 1.5 * np.sin(x / 40) + 0.02 * y
    texture = 1 + 0.1 * np.random.default_rng(1).standard_normal(shape)
    return inside, field, coil, texture


def images(head, te, *, sigma, odd=0.0, seed=0):
    inside, field, coil, texture = head
    rng = np.random.default_rng(seed)
    magnitudes, phases = [], []
    for number, time in enumerate(te):
        turn = 2 * np.pi * field * time + coil + odd * (number % 2)
        signal = np.where(inside, texture * np.exp(-time / 0.03), 0.0) * np.exp(1j * turn)
        noise = rng.standard_normal((2, *inside.shape))
        signal = signal + sigma * (noise[0] + 1j * noise[1])
        magnitudes.append(np.abs(signal))
        phases.append(np.angle(signal))
    return magnitudes, phases


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("te", [TE, (0.0031, 0.0069, 0.0118, 0.02)])
def test_the_field_is_found_to_a_hertz(head, te):
    inside, field, *_ = head
    magnitudes, phases = images(head, te, sigma=0.03)
    found, magnitude = megre.to_hz(magnitudes, phases, te, **OPTIONS)
    assert rms((found - field)[inside]) < 0.6
    assert abs(np.median((found - field)[inside])) < 0.1
    assert magnitude.shape == found.shape
    assert np.isfinite(found).all()


def test_all_echoes_are_better_than_the_closest_two(head):
    inside, field, *_ = head
    magnitudes, phases = images(head, TE, sigma=0.06)
    flat = OPTIONS | {"curvature": np.inf}  # nothing is smoothed
    found, _ = megre.to_hz(magnitudes, phases, TE, **flat)
    two, _ = megre.to_hz(magnitudes[:2], phases[:2], TE[:2], **flat)
    assert rms((found - field)[inside]) < 0.5 * rms((two - field)[inside])


def test_readouts_to_and_fro_are_told(head, caplog):
    magnitudes, phases = images(head, TE, sigma=0.02, odd=0.8)
    with caplog.at_level(logging.WARNING):
        megre.to_hz(magnitudes, phases, TE, **OPTIONS)
    assert "bipolar" in caplog.text
    caplog.clear()
    magnitudes, phases = images(head, TE, sigma=0.02)
    megre.to_hz(magnitudes, phases, TE, **OPTIONS)
    assert "bipolar" not in caplog.text


def test_one_echo_gives_no_field(head):
    magnitudes, phases = images(head, TE[:2], sigma=0.02)
    with pytest.raises(MetadataError, match="two or more echoes"):
        megre.to_hz(magnitudes[:1], phases[:1], TE[:1], **OPTIONS)
    with pytest.raises(MetadataError, match="ascending"):
        megre.to_hz(magnitudes, phases, TE[1::-1], **OPTIONS)
