"""The region of the comparison."""

import numpy as np

from mebold.rois import compared

SCORES = {
    "standardSingle": np.r_[np.full(20, 1.0), np.full(20, 5.0), np.zeros(20)],
    "nordicOptcom": np.r_[np.full(20, 4.0), np.full(20, 5.0), np.zeros(20)],
}
BRAIN = np.ones(60, bool)


def choose(source="consensus", brain=BRAIN, **options):
    return compared.choose(SCORES, brain=brain, source=source, threshold=3.0, **options)


def test_consensus_is_the_mean_of_all_variants():
    region = choose()
    assert np.flatnonzero(region.mask).tolist() == list(range(20, 40))
    assert region.score[0] == 2.5
    assert "mean over all variants" in region.about


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


def test_a_mask_is_neither_the_mean_nor_a_variant():
    assert compared.is_mask("mine.nii.gz", SCORES)
    assert not compared.is_mask("consensus", SCORES)
    assert not compared.is_mask("nordicOptcom", SCORES)
