"""What a variant costs, against the undenoised variant of the same echoes."""

import numpy as np
import pandas as pd
import pytest

from mebold.compare import price
from mebold.compare.predictivity import Amplitude
from mebold.compare.tables import LONG_COLUMNS
from mebold.variants import VARIANTS

LIMITS = {"least_signal_kept": 80, "most_smoothness_growth": 25, "least_responsive_kept": 80}


@pytest.mark.parametrize(
    ("variant", "compared", "expected"),
    [
        ("nordicSingle", VARIANTS, "standardSingle"),
        ("nordicOptcom", VARIANTS, "standardOptcom"),
        ("nordicIca", VARIANTS, "standardOptcom"),
        ("standardIca", VARIANTS, "standardOptcom"),
        ("standardSingle", VARIANTS, "standardSingle"),
        ("nordicOptcom", ["standardSingle", "nordicOptcom"], "standardSingle"),
        ("nordicSingle", ["standardOptcom", "nordicSingle"], "standardOptcom"),
        ("nordicOptcom", ["nordicSingle", "nordicOptcom"], None),
    ],
)
def test_counterparts(variant, compared, expected):
    assert price.counterpart(variant, compared) == expected


def test_the_reference_is_the_combination_where_there_is_one():
    assert price.reference_of(VARIANTS) == "standardOptcom"
    assert price.reference_of(["nordicIca", "standardSingle"]) == "standardSingle"
    assert price.reference_of(["nordicIca", "standardIca"]) is None


def test_share_of_responsive_voxels():
    other = np.array([3.0, 4, 5, 1, np.nan, 6])
    score = np.array([2.5, 1, 9, 9, 9, np.nan])
    assert price.responsive_kept(score, other, threshold=2) == 50
    assert np.isnan(price.responsive_kept(score, other, threshold=10))


def test_kept_signal_needs_a_signal():
    rng = np.random.default_rng(0)
    draws = {"images": 1 + 0.05 * rng.standard_normal(200)}
    own, other = (Amplitude(x, {m: x * d for m, d in draws.items()}) for x in (3.0, 4.0))
    value, samples = price.signal_kept(own, other)
    assert value == pytest.approx(75)
    np.testing.assert_allclose(samples["images"], 75)
    unsure = Amplitude(4.0, {"images": 4 + 3 * rng.standard_normal(200)})
    assert np.isnan(price.signal_kept(own, unsure)[0])
    assert np.isnan(price.signal_kept(own, Amplitude(4.0, {}))[0])


def test_warnings_name_value_counterpart_and_key():
    rows = [
        (subject, session, "images", "n/a", variant, metric, value, 0, 0, "percent")
        for subject, session, add in (("01", "01", 0), ("01", "02", 10), ("02", "01", -5))
        for variant, metric, value in (
            ("standardOptcom", "signal_kept", 100.0),
            ("nordicOptcom", "signal_kept", 70.0 + add),
            ("nordicOptcom", "smoothness_growth", 24.0),
            ("nordicIca", "smoothness_growth", 40.0),
            ("nordicIca", "signal_kept", np.nan),
            ("nordicIca", "responsive_kept", 79.0),
        )
    ]
    found = price.warnings(pd.DataFrame(rows, columns=LONG_COLUMNS), LIMITS)
    # Sessions of a subject are averaged first: (75 + 65) / 2.
    assert found == {
        "nordicOptcom": [
            "keeps 70 % of the response to images of standardOptcom (`least_signal_kept`: 80 %)"
        ],
        "nordicIca": [
            "is 40 % smoother than standardOptcom (`most_smoothness_growth`: 25 %)",
            "keeps 79 % of the responsive voxels of standardOptcom (`least_responsive_kept`: 80 %)",
        ],
    }
