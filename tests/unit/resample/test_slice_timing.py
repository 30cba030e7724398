"""Slice timing: where peaks end up, exactness, pchip against scipy, refusals."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

from mebold.errors import ConfigError, DataError, MetadataError
from mebold.resample import samples, slice_clock, slice_timing

TR, TR_OUT = 1.9, 1.0
SLICE_TIMES = np.array([0.0, 0.95, 0.31, 1.2675, 0.6325, 1.5825])


def bump(times, peak, width=3.0):
    return 100.0 + 10.0 * np.exp(-0.5 * ((times - peak) / width) ** 2)


def sampled(peak, n=40):
    """Return a (1, 1, z, t) series in which every slice sees the same event at its own times."""
    times = np.arange(n) * TR + SLICE_TIMES[:, np.newaxis]
    return bump(times, peak)[np.newaxis, np.newaxis]


def peak_time(values, tr):
    k = int(np.argmax(values))
    fine = np.linspace(k - 1, k + 1, 2001)
    spline = CubicSpline(np.arange(values.size), values)
    return fine[np.argmax(spline(fine))] * tr


@pytest.mark.parametrize("tr_out", [1.0, 1.9, 0.7])
@pytest.mark.parametrize("peak", [20.0, 31.3, 40.85])
def test_a_peak_stays_at_its_time_in_every_slice(peak, tr_out):
    result = slice_timing.correct(sampled(peak), SLICE_TIMES, tr=TR, tr_out=tr_out)
    for z in range(len(SLICE_TIMES)):
        assert abs(peak_time(result[0, 0, z], tr_out) - peak) < 0.05


def test_output_length_covers_the_acquisition():
    assert samples.n_output_volumes(163, tr=1.9, tr_out=1.0) == 310
    assert samples.n_output_volumes(100, tr=2.0, tr_out=2.0) == 100
    assert samples.n_output_volumes(3, tr=0.1, tr_out=0.1) == 3  # 3 * 0.1 / 0.1 > 3 in binary


def test_operator_keeps_constants_and_is_the_identity_without_delay():
    matrix = slice_timing.operator(0.7, n_volumes=12, tr=TR, tr_out=TR_OUT)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
    same = slice_timing.operator(0.0, n_volumes=12, tr=TR, tr_out=TR)
    np.testing.assert_allclose(same, np.eye(12), atol=1e-12)


def padded_knots(n, s):
    source = np.clip(np.arange(-3, n + 3), 0, n - 1)
    return np.arange(-3, n + 3) * TR + s, source


@pytest.mark.parametrize(
    ("method", "oracle"), [("cubic", CubicSpline), ("pchip", PchipInterpolator)]
)
def test_agrees_with_scipy(rng, method, oracle):
    data = rng.normal(1000, 50, (3, 4, 6, 15)).astype(np.float32)
    result = slice_timing.correct(data, SLICE_TIMES, tr=TR, tr_out=TR_OUT, method=method)
    times = np.arange(result.shape[3]) * TR_OUT
    for z, s in enumerate(SLICE_TIMES):
        knots, source = padded_knots(15, s)
        expected = oracle(knots, data[:, :, z][..., source], axis=-1)(times)
        np.testing.assert_allclose(result[:, :, z], expected, atol=2e-2)


def test_memory_layout_type_and_slice_axis_do_not_matter(rng):
    data = rng.integers(0, 2000, (4, 5, 6, 10)).astype(np.int16)
    expected = slice_timing.correct(data, SLICE_TIMES, tr=TR, tr_out=TR_OUT)
    other = slice_timing.correct(np.asfortranarray(data), SLICE_TIMES, tr=TR, tr_out=TR_OUT)
    np.testing.assert_allclose(other, expected, rtol=1e-5)
    turned = slice_timing.correct(
        np.moveaxis(data, 2, 0), SLICE_TIMES, tr=TR, tr_out=TR_OUT, slice_axis=0
    )
    np.testing.assert_allclose(np.moveaxis(turned, 0, 2), expected, rtol=1e-5)
    assert expected.dtype == np.float32
    assert expected.flags.f_contiguous


@pytest.mark.parametrize("method", slice_timing.METHODS)
def test_blocks_are_parts_of_the_whole(rng, method):
    data = rng.normal(1000, 50, (3, 4, 6, 60)).astype(np.float32)
    options = {"tr": TR, "tr_out": TR_OUT, "method": method}
    whole = slice_timing.correct(data, SLICE_TIMES, **options)
    lazy = slice_timing.Corrected(data, SLICE_TIMES, **options)
    assert lazy.shape == whole.shape
    for first, last in ((0, 7), (7, 50), (50, 114), (113, 114), (20, 20)):
        part = lazy[..., first:last]
        assert part.shape == (3, 4, 6, last - first)
        np.testing.assert_allclose(part, whole[..., first:last], rtol=1e-6)
    with pytest.raises(IndexError, match=r"only \[..., first:last\]"):
        lazy[..., ::2]


@pytest.mark.parametrize("method", slice_timing.METHODS)
def test_a_voxel_that_is_not_finite_once_is_so_throughout(rng, method):
    data = rng.normal(1000, 50, (3, 4, 6, 60)).astype(np.float32)
    data[1, 2, 3, 5] = np.nan
    part = slice_timing.Corrected(data, SLICE_TIMES, tr=TR, tr_out=TR_OUT, method=method)[
        ..., 80:90
    ]
    assert np.isnan(part[1, 2, 3]).all()
    assert np.isnan(part).sum() == 10


def test_edges_are_held_and_flagged():
    ramp = np.arange(10.0)[np.newaxis, np.newaxis, np.newaxis] * np.ones((1, 1, 6, 1))
    result = slice_timing.correct(ramp, SLICE_TIMES, tr=TR, tr_out=TR_OUT, method="pchip")
    flagged = samples.edge_samples(SLICE_TIMES, n_volumes=10, tr=TR, tr_out=TR_OUT)
    times = np.arange(19) * TR_OUT
    truth = (times - SLICE_TIMES[:, np.newaxis]) / TR
    np.testing.assert_allclose(result[0, 0][:, ~flagged], truth[:, ~flagged], atol=0.15)
    assert np.abs(result[0, 0] - truth)[:, flagged].max() > 0.3
    assert flagged.tolist() == [True, True] + [False] * 16 + [True]
    assert result.min() >= 0
    assert result.max() <= 9


def bright(data, n=4):
    """Return a series whose first volumes are brighter, as before the steady state."""
    out = data.copy()
    out[..., :n] *= 1 + 0.5 * 0.2 ** np.arange(n)
    return out


@pytest.mark.parametrize("tr_out", [1.0, 1.9])
@pytest.mark.parametrize("method", ["cubic", "pchip"])
def test_steady_samples_do_not_see_what_comes_before(rng, method, tr_out):
    data = rng.normal(1000, 50, (3, 4, 6, 25)).astype(np.float32)
    known = {"tr": TR, "tr_out": tr_out, "method": method}
    plain = slice_timing.correct(bright(data), SLICE_TIMES, **known)
    found = slice_timing.correct(bright(data), SLICE_TIMES, **known, non_steady=4)
    early = samples.non_steady_samples(4, tr=TR, tr_out=tr_out)
    assert early == {1.0: 8, 1.9: 4}[tr_out]
    np.testing.assert_array_equal(found[..., :early], plain[..., :early])
    other = data.copy()
    other[..., :4] = 1e6
    alone = slice_timing.correct(other, SLICE_TIMES, **known, non_steady=4)
    np.testing.assert_array_equal(found[..., early:], alone[..., early:])
    # What is left is the series that starts with the fifth volume.
    times = np.arange(early, found.shape[3]) * tr_out - 4 * TR
    for z, s in enumerate(SLICE_TIMES):
        knots, source = padded_knots(21, s)
        oracle = {"cubic": CubicSpline, "pchip": PchipInterpolator}[method]
        expected = oracle(knots, data[:, :, z, 4:][..., source], axis=-1)(times)
        np.testing.assert_allclose(found[:, :, z, early:], expected, atol=2e-2)


def test_first_steady_samples_are_flagged_and_held():
    flagged = samples.edge_samples(SLICE_TIMES, n_volumes=20, tr=TR, tr_out=TR_OUT, non_steady=4)
    # 4 volumes end after 7.6 s; all slices have a steady sample 1.5825 s later.
    assert np.flatnonzero(flagged)[:4].tolist() == [0, 1, 8, 9]
    matrix = slice_timing.operator(0.9, n_volumes=20, tr=TR, tr_out=TR_OUT, non_steady=4)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
    assert not matrix[8:, :4].any()
    assert matrix[8].argmax() == 4
    with pytest.raises(DataError, match="at least two must be steady"):
        slice_timing.correct(np.ones((2, 2, 6, 5)), SLICE_TIMES, tr=TR, tr_out=TR, non_steady=4)


def test_reversed_slice_encoding():
    axis, times = slice_clock.slice_axis_and_times([0.0, 0.5, 1.0], slice_encoding_direction="j-")
    assert axis == 1
    assert times.tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0, 0.5], "2 entries for 6 slices"),
        (SLICE_TIMES * 1000, "seconds within one volume"),
        ([0, 0, 0, np.nan, 0, 0], "SliceTiming spans"),
    ],
)
def test_refuses_slice_times(times, message):
    with pytest.raises(MetadataError, match=message):
        slice_timing.correct(sampled(20.0), times, tr=TR, tr_out=TR_OUT)


def test_refuses_unknown_names_and_single_volumes():
    with pytest.raises(ConfigError, match="linear"):
        slice_timing.correct(sampled(20.0), SLICE_TIMES, tr=TR, tr_out=TR_OUT, method="linear")
    with pytest.raises(DataError, match="at least 2 volumes"):
        slice_timing.correct(np.zeros((2, 2, 6, 1)), SLICE_TIMES, tr=TR, tr_out=TR_OUT)
    with pytest.raises(MetadataError, match="SliceEncodingDirection"):
        slice_clock.slice_axis_and_times([0.0], slice_encoding_direction="z")
    with pytest.raises(ConfigError, match="only method 'cubic' is a matrix"):
        slice_timing.operator(0.0, n_volumes=3, tr=TR, tr_out=TR_OUT, method="pchip")
