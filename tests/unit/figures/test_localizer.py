"""Figure of a localizer: a row per contrast, colours from z = 3.1 on."""

import numpy as np

from mebold.figures.localizer import contrast_rows

SHAPE, AFFINE = (14, 16, 12), np.diag([5.0, 5, 5, 1])


def drawn(maps):
    grid = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    brain = (grid**2).sum(0) < 30
    about = {"t1w": brain * 100.0, "t1w_affine": AFFINE, "mask": brain, "title": "Contrasts"}
    titles = {name: f"{name}: {name} > others" for name in maps}
    return contrast_rows(maps, AFFINE, titles=titles, **about)


def coloured(figure, row, columns=7):
    """Count the coloured pixels of a row of slices: the second image of each."""
    axes = [one for one in figure.axes if len(one.images) == 2][row * columns : (row + 1) * columns]
    return sum(int((~np.ma.getmaskarray(one.images[1].get_array())).sum()) for one in axes)


def test_every_contrast_has_its_row_and_what_it_is():
    faces = np.zeros(SHAPE)
    faces[6:9, 7:10, 5:7] = 8.0
    weak = np.full(SHAPE, 3.0)
    weak[5, 5, 5] = np.nan
    figure = drawn({"faces": faces, "scenes": weak})
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "faces > others" in texts
    assert "scenes > others" in texts
    assert coloured(figure, 0) > 0 == coloured(figure, 1)


def test_nothing_to_show_is_drawn_all_the_same():
    assert "no contrast" in " ".join(text.get_text() for text in drawn({}).texts)
    assert coloured(drawn({"faces": np.zeros(SHAPE)}), 0) == 0
