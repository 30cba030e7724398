"""The region of the comparison."""

import numpy as np
import pytest

from mebold.errors import ConfigError
from mebold.rois import compared

SCORES = {
    "standardSingle": np.r_[np.full(20, 1.0), np.full(20, 5.0), np.zeros(20)],
    "nordicOptcom": np.r_[np.full(20, 4.0), np.full(20, 5.0), np.zeros(20)],
}
BRAIN = np.ones(60, bool)


def choose(source="consensus", brain=BRAIN, **options):
    return compared.choose(SCORES, brain=brain, source=source, threshold=3.0, **options)


def test_consensus_is_what_more_than_half_of_the_variants_choose():
    region = choose()
    assert np.flatnonzero(region.mask).tolist() == list(range(20, 40))
    assert region.score[0] == 1
    assert "more than half of the variants" in region.about
    assert region.voxels == {"standardSingle": 20, "nordicOptcom": 40}
    assert not region.fallback


def test_no_variant_outvotes_the_others_by_larger_scores():
    scores = {name: np.r_[np.full(30, 1.0), np.full(30, 4.0)] for name in "abcde"}
    scores["loud"] = np.r_[np.full(30, 100.0), np.zeros(30)]
    region = compared.choose(scores, brain=BRAIN, source="consensus", threshold=3.0)
    assert np.flatnonzero(region.mask).tolist() == list(range(30, 60))


def test_without_responses_the_region_falls_back_and_says_so():
    grey = np.arange(60) < 40
    weak = np.r_[np.full(15, 1.0), np.full(25, -1.0), np.full(20, 2.0)]
    for score, expected, words in (
        (weak, range(15), "grey matter with a positive cross-validated response (15 voxels)"),
        (np.full(60, np.nan), range(40), "grey matter (40 voxels)"),
        (np.where(np.arange(60) < 9, 5.0, 0.0), range(40), "9 voxels respond above 3"),
    ):
        scores = {"standardSingle": score, "nordicOptcom": score}
        region = compared.choose(scores, brain=BRAIN, grey=grey, source="consensus", threshold=3.0)
        assert np.flatnonzero(region.mask).tolist() == list(expected)
        assert words in region.fallback
        assert np.isfinite(region.score).all()
        region = compared.choose(scores, brain=BRAIN, source="consensus", threshold=3.0)
        assert "grey" in region.fallback
    nowhere = np.zeros(60, bool)
    scores = {"a": np.full(60, np.nan)}
    region = compared.choose(scores, brain=BRAIN, grey=nowhere, source="a", threshold=3.0)
    assert region.mask.all()
    assert "the whole brain (60 voxels)" in region.fallback


def test_a_named_variant_uses_its_own_map():
    assert choose("nordicOptcom").mask[:40].all()


def test_region_stays_in_the_brain_and_without_missing_scores():
    brain = BRAIN.copy()
    brain[20:25] = False
    assert not choose(brain=brain).mask[20:25].any()


def test_given_mask_is_taken_as_it_is():
    given = np.zeros(60, bool)
    given[50:] = True
    region = choose("mine.nii.gz", given=given)
    assert np.array_equal(region.mask, given)
    assert "mine.nii.gz" in region.about
    with pytest.raises(ConfigError, match=r"`visual_roi.source`.*mine.nii.gz has 0 voxels"):
        choose("mine.nii.gz", given=np.zeros(60, bool))


def test_a_mask_is_neither_the_mean_nor_a_variant():
    assert compared.is_mask("mine.nii.gz", SCORES)
    assert not compared.is_mask("consensus", SCORES)
    assert not compared.is_mask("nordicOptcom", SCORES)
