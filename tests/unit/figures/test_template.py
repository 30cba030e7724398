"""Figures of a template: both pictures in one file, the range of volume changes, names."""

import base64
import re
import xml.dom.minidom

import numpy as np

from mebold.figures import megre, mp2rage, template
from mebold.figures.style import figure_bytes

SHAPE, AFFINE = (24, 28, 22), np.diag([-6.0, 6.0, 6.0, 1.0])
R = np.linalg.norm((np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2), axis=0)
MASK = R < 9


def texts(figure):
    return " ".join(text.get_text() for text in figure.texts)


def pictures():
    options = {"mask": MASK, "title": "sub-07, X", "subtitle": "edges", "n_slices": 2}
    image = np.where(MASK, 100.0 - R, 0.0)
    shifted = np.roll(image, 3, axis=0)
    return [template.edges(image, part, AFFINE, **options) for part in (image, shifted)]


def test_the_flicker_holds_both_pictures_and_is_read_without_them():
    before, after = pictures()
    svg = template.flicker(before, after, text="T1w & template <sub-07>").decode()
    document = xml.dom.minidom.parseString(svg)
    assert document.getElementsByTagName("title")[0].firstChild.data == "T1w & template <sub-07>"
    found = [base64.b64decode(data) for data in re.findall(r'base64,([^"]+)"', svg)]
    assert found == [figure_bytes(figure) for figure in (before, after)]
    assert found[0] != found[1]
    assert svg.index('id="before"') < svg.index('id="after"')
    assert template.flicker(before, after, text="T1w & template <sub-07>").decode() == svg


def test_volume_changes_are_logarithms_and_folds_are_drawn():
    jacobian = np.where(R < 4, 2.0, np.where(R < 5, -1.0, 0.5))
    options = {"mask": MASK, "title": "sub-07, X: volume change", "n_slices": 1}
    figure = template.volume_change(jacobian, np.where(MASK, 1.0, 0.0), AFFINE, **options)
    assert "sub-07" in texts(figure)
    shown = figure.axes[0].images[-1]
    values = np.unique(np.round(shown.get_array().compressed(), 3))
    assert set(values) <= {-3.0, -1.0, 1.0}
    assert {-1.0, 1.0} <= set(values)
    assert shown.get_clim() == (-1.0, 1.0)


def test_the_figures_of_other_images_name_them():
    head = R < 10
    unit = np.where(head, 0.3, np.random.default_rng(0).uniform(-0.5, 0.5, SHAPE))
    figure = mp2rage.cleaning(
        unit, np.where(head, 0.8, 0.0), AFFINE, head=head, title="sub-07_ses-1_UNIT1", text="how"
    )
    assert "sub-07_ses-1_UNIT1" in texts(figure)
    assert "how" in texts(figure)
    figure = megre.t2star(
        np.where(head, 0.03, 0.0), np.where(head, 1.0, 0.0), AFFINE, title="T2* of sub-07_ses-1",
        te_s=[0.004, 0.009],
    )  # fmt: skip
    assert "T2* of sub-07_ses-1" in texts(figure)
    assert "4.0, 9.0 ms; median T2* 30.0 ms" in texts(figure)
