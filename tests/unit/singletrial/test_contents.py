"""What the file of a fit holds and is called."""

from dataclasses import fields
from types import SimpleNamespace

import pytest

from mebold.singletrial import contents
from mebold.singletrial.result import SingleTrialFit


def test_every_field_of_a_fit_has_unit_and_meaning():
    assert {field.name for field in fields(SingleTrialFit)} <= set(contents.ITEMS)
    assert set(contents.links().values()) <= set(contents.ITEMS)


@pytest.mark.parametrize(
    ("further", "left"),
    [([], (None, None)), (["FITHRF"], ("b", None)), (["FITHRF_GLMDENOISE"], (None, "c"))],
)
def test_betas_nobody_asked_for_are_dropped(further, left):
    found = SimpleNamespace(betas="d", fithrf_betas="b", denoise_betas="c")
    kept = contents.kept(found, further)
    assert (kept.fithrf_betas, kept.denoise_betas) == left


def test_the_last_model_is_never_dropped():
    last = [1.0]
    found = SimpleNamespace(betas=last, fithrf_betas=last, denoise_betas=None)
    assert contents.kept(found, []).fithrf_betas is last
