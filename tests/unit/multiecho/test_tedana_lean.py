"""Less work for tedana, with the same verdicts."""

import gc
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from tedana import combine, io, stats
from tedana.metrics import dependence
from tedana.reporting import static_figures

from mebold.errors import GridMismatchError
from mebold.multiecho import tedana_lean


@pytest.fixture
def drawn(monkeypatch):
    """What tedana's function for carpet plots is called with."""
    calls = []
    monkeypatch.setattr(static_figures, "carpet_plot", lambda **given: calls.append(given))
    return calls


def test_carpets_have_voxels_at_equal_steps(drawn, rng):
    inside = np.ones((50, 50, 20), dtype=np.int8)
    good = inside.copy()
    good[:10] = 0
    series = rng.normal(size=(inside.size, 3))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    of_tedana = SimpleNamespace(mask=nib.Nifti1Image(inside, affine), out_dir="there")
    with tedana_lean.lean(combined=None, keep_images=False):
        static_figures.carpet_plot(
            optcom_ts=series,
            denoised_ts=2 * series,
            hikts=series,
            lowkts=series,
            mask=nib.Nifti1Image(good, affine),
            io_generator=of_tedana,
            gscontrol=[None],
        )
    (call,) = drawn
    chosen = np.arange(10_000, 50_000, 2)
    np.testing.assert_array_equal(call["optcom_ts"], series[chosen])
    np.testing.assert_array_equal(call["denoised_ts"], 2 * series[chosen])
    assert call["mask"].shape == call["io_generator"].mask.shape == (20_000, 1, 1)
    assert call["io_generator"].out_dir == "there"
    assert of_tedana.mask.shape == inside.shape


@pytest.mark.parametrize("add_const", [False, True])
@pytest.mark.parametrize("copies", [0, 1])
def test_fits_to_time_courses_are_those_of_tedana(rng, add_const, copies):
    """Also where one course is the sum of two others, and the fit with the least norm counts."""
    courses = rng.normal(size=(40, 5))
    courses = np.column_stack([courses, *[courses[:, 0] + courses[:, 1]] * copies])
    data = (100 + rng.normal(size=(200, 40))).astype(np.float32)
    with tedana_lean.lean(combined=None, keep_images=False):
        found = [m.get_coeffs(data, courses, add_const) for m in (stats, dependence, io)]
    assert dependence.get_coeffs is io.get_coeffs is stats.get_coeffs
    expected = stats.get_coeffs(data, courses, add_const)
    for one in found:
        np.testing.assert_allclose(one, expected, atol=1e-9)


def test_what_was_there_before_is_not_searched_for_garbage():
    frozen = gc.get_freeze_count()
    with tedana_lean.lean(combined=None, keep_images=False):
        assert gc.get_freeze_count() > frozen + 10_000
    assert gc.get_freeze_count() == 0


def test_other_voxels_are_refused_and_tedana_is_as_before():
    before = combine.make_optcom, io.writeresults, static_figures.carpet_plot
    with (
        pytest.raises(GridMismatchError, match="4 voxels, the optimal combination 3"),
        tedana_lean.lean(combined=np.ones((3, 2)), keep_images=False),
    ):
        combine.make_optcom(np.ones((4, 1, 2)))
    assert (combine.make_optcom, io.writeresults, static_figures.carpet_plot) == before
