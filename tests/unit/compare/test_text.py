"""The paragraph says what the tables say."""

import pandas as pd
import pytest

from mebold.compare.advice import advise
from mebold.compare.subjects import group_table
from mebold.compare.tables import LONG_COLUMNS, PAIRED_COLUMNS
from mebold.compare.text import describe, instead
from mebold.errors import DataError

LIMITS = {"least_signal_kept": 80, "most_smoothness_growth": 25, "least_responsive_kept": 80}
NAMES = {"baseline": "standardSingle", "primary": "nordicOptcom"}
VALUES = {"standardSingle": 8.0, "nordicOptcom": 14.0, "nordicIca": 14.5}
METRIC = "noise_ceiling_median"


def tables(subjects, *, half=2.0):
    long, paired = [], []
    for i, subject in enumerate(subjects):
        for variant, value in VALUES.items():
            value += i
            head = (subject, "01", "images", "n/a", variant)
            long.append((*head, METRIC, value, value - 1, value + 1, "percent"))
            long.append((*head, "smoothness_fwhm", 2 + i, 1, 3, "mm"))
            for reference in ("standardSingle", "nordicOptcom"):
                if variant == reference:
                    continue
                d = VALUES[variant] - VALUES[reference]
                row = (*head, reference, METRIC, d, d - half, d + half)
                paired += [(*row, method, "percent") for method in ("images", "runs")]
    return (
        pd.DataFrame(long, columns=LONG_COLUMNS),
        pd.DataFrame(paired, columns=PAIRED_COLUMNS),
    )


def said(long, paired, group=None):
    advice = advise(long, paired, primary=NAMES["primary"], limits=LIMITS)
    return describe(long, paired, group=group, advice=advice, **NAMES)


def described(subjects, **options):
    long, paired = tables(subjects, **options)
    return said(long, paired, group_table(long, references=["standardSingle", "nordicOptcom"]))


def test_one_subject_best_difference_and_sureness():
    text = described(["01"])
    assert "3 variants compared in subject 01" in text
    assert "that of nordicIca, 14.5 %; the next that of nordicOptcom, 14.0 %; the lowest" in text
    assert "the lowest that of standardSingle, 8.0 %" in text
    assert "nordicOptcom differs from standardSingle by +6.0 points (+75 %)" in text
    assert "+4.0 to +8.0 over images and +4.0 to +8.0 over runs: clearly different" in text
    assert "nordicIca differs from nordicOptcom by +0.5 points" in text
    # The best of three was chosen by the same data: 2.24 instead of 1.96 standard errors.
    assert (
        "corrected for 2 comparisons -1.8 to +2.8 over images and -1.8 to +2.8 over runs: not"
        in text
    )
    assert "nothing is tested across subjects" in text
    assert "smoothness 2.00 -> 2.00 mm" in text


def test_one_wide_interval_takes_the_sureness_away():
    long, paired = tables(["01"])
    paired.loc[paired["method"] == "runs", "ci_low"] = -0.1
    text = said(long, paired)
    assert "clearly different" not in text


def test_five_subjects_name_p_and_its_floor():
    text = described([f"{i:02d}" for i in range(5)])
    assert "compared in 5 subjects" in text
    assert "clearly higher in 5 and clearly lower in 0 of 5 subject sessions" in text
    assert "higher than standardSingle in 5 of 5 (difference +6.5 ± 0.0 points" in text
    # The primary was chosen before, the best variant by these data.
    assert (
        "nordicOptcom is higher than standardSingle in 5 of 5 (difference +6.0 ± 0.0 points, "
        in text
    )
    assert "sign-flip p = 0.0625 (5 subjects cannot give less than 0.0625)" in text
    assert "Holm-corrected p = 0.125 (5 subjects cannot give less than 0.125)" in text


def test_a_lead_of_the_primary_is_held_against_the_next_variant():
    names = {"nordicOptcom": "standardOptcom", "nordicIca": "nordicOptcom"}
    long, paired = (t.replace({c: names for c in ("variant", "reference") if c in t}) for t in
                    tables([f"{i:02d}" for i in range(5)]))  # fmt: skip
    # Of the pairs against the best only one direction is in the tables.
    turned = paired["reference"] == "standardOptcom"
    paired.loc[turned, ["variant", "reference"]] = paired.loc[
        turned, ["reference", "variant"]
    ].to_numpy()
    group = group_table(long, references=["standardSingle", "nordicOptcom"])
    text = said(long, paired, group)
    assert "that of nordicOptcom, 16.5 %; the next that of standardOptcom, 16.0 %" in text
    assert "standardOptcom differs from nordicOptcom by -0.5 points (-3 %)" in text
    assert "standardOptcom is higher than nordicOptcom in 0 of 5" in text
    assert text.count("cannot give less") == 2


def test_runs_without_ica_are_told():
    long, paired = tables(["01"])
    for variant, count in (("nordicIca", 2.0), ("standardIca", 0.0)):
        row = (*("01", "01", "images", "n/a", variant), "ica_fallback_runs", count)
        long.loc[len(long)] = (*row, None, None, "count")
    text = said(long, paired)
    assert text.endswith("ICA was not used in 2 runs of nordicIca, which hold the optimal "
                         "combination.")  # fmt: skip
    assert "standardIca" not in text


def test_baseline_alone():
    long, paired = tables(["01"])
    long = long[long["variant"] == "standardSingle"]
    text = said(long, paired[:0])
    assert "1 variant compared" in text
    assert "differs" not in text


def test_table_without_noise_ceilings_is_refused():
    long, paired = tables(["01"])
    with pytest.raises(DataError, match="no rows of noise_ceiling_median"):
        said(long[long["metric"] != METRIC], paired)


def test_regions_that_fell_back_are_counted():
    why = "0 voxels respond above 3, fewer than 10: variants are compared in grey matter (9 voxels)"
    regions = [{"RegionFallback": ""}, {"RegionFallback": why}, {"RegionFallback": why}, {}]
    (said,) = instead(regions)
    assert said.startswith("In 2 sessions the region is not that of visual responses: 0 voxels")
    assert instead(regions[:1]) == []
