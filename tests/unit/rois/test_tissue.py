import numpy as np

from mebold.rois import tissue


def test_grey_matter_or_everything():
    regions, categories = tissue.grey_or_all(np.array([0.0, 1.0, 2.0, 1.0, 3.0]))
    assert list(regions) == ["greyMatter"]
    assert regions["greyMatter"].tolist() == [False, True, False, True, False]
    assert categories == {"greyMatter": "derived"}
    regions, _ = tissue.grey_or_all(np.zeros(4))
    assert list(regions) == ["all"]
    assert regions["all"].all()
