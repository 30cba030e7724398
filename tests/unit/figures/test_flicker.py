"""Frames that are shown by turns cover each other, and show what they are."""

import numpy as np

from mebold.figures.flicker import frames


def test_frames_are_of_one_size_and_place_and_show_a_shift():
    mask = np.zeros((20, 24, 18), bool)
    mask[4:16, 4:20, 4:14] = True
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    moved = affine.copy()
    moved[0, 3] = 9.0
    images = {"before": (mask * 100.0, moved), "after": (mask * 100.0, affine)}
    tissue = np.where(mask, 2, 0)
    found = frames(images, mask=mask, affine=affine, dseg=tissue, title="a run")
    assert list(found) == ["before", "after"]
    before, after = found.values()
    assert before.get_size_inches().tolist() == after.get_size_inches().tolist()
    assert len(before.axes) == 10
    for one, other in zip(before.axes, after.axes, strict=True):
        assert one.get_position().bounds == other.get_position().bounds
        assert (one.get_xlim(), one.get_title()) == (other.get_xlim(), other.get_title())
    here, there = (figure.axes[0].images[0].get_array() for figure in (after, before))
    # The head lies 9 mm, 9 pixels of 1 mm or 3 of 3 mm, further along the first axis.
    assert np.argmax(there.any(0)) - np.argmax(here.any(0)) in (3, 9)
    assert {text.get_text() for text in before.texts} >= {"a run", "before"}


def test_frames_do_without_tissue():
    mask = np.zeros((10, 10, 10), bool)
    mask[3:7, 3:7, 3:7] = True
    assert set(frames({"x": (mask * 1.0, np.eye(4))}, mask=mask, affine=np.eye(4))) == {"x"}
