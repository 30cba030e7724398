"""Every figure of a scan says whose it is."""

import numpy as np
from matplotlib import pyplot as plt

from mebold.figures import anat


def test_subject_and_session_stand_on_the_figure():
    dseg = np.zeros((20, 20, 20), np.int8)
    dseg[4:16, 4:16, 4:16] = 1
    dseg[8:12, 8:12, 8:12] = 2
    name = "sub-01_ses-02_T1w"
    figure = anat.segmentation(
        100.0 * dseg, np.diag([4.0, 4.0, 4.0, 1.0]), dseg=dseg, brain_mask=dseg > 0, name=name
    )
    said = " ".join(text.get_text() for text in figure.texts)
    said += " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    plt.close(figure)
    assert name in said
