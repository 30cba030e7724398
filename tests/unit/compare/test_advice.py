"""The advice where NORDIC helps, where it harms, and where the data do not tell."""

import json

import numpy as np
import pandas as pd
import pytest
import variant_families as families

from mebold.compare import session, tables
from mebold.compare.advice import advise, combined, record, sentences
from mebold.compare.tables import LONG_COLUMNS, PAIRED_COLUMNS

LIMITS = {"least_signal_kept": 80, "most_smoothness_growth": 25, "least_responsive_kept": 80}
# Independent data of two kinds: predictivity where NORDIC helps and where it loses weak responses.
HELPS = {"standardSingle": 0.219, "standardOptcom": 0.230, "standardIca": 0.188,
         "nordicSingle": 0.276, "nordicOptcom": 0.280, "nordicIca": 0.246}  # fmt: skip
HARMS = {"standardSingle": 0.094, "standardOptcom": 0.111, "standardIca": 0.078,
         "nordicSingle": 0.059, "nordicOptcom": 0.014, "nordicIca": 0.009}  # fmt: skip


def made(values, *, half=0.01, subjects=("01",), kept=None, own=0.02):
    """Make the tables of values with the same half interval everywhere."""
    long, paired = [], []
    for s, subject in enumerate(subjects):
        head = (subject, "n/a", "images", "n/a")
        for variant, value in values.items():
            row = (*head, variant, "predictivity_single", value, value - own, value + own, "1")
            long.append(row)
            share = (kept or {}).get(variant, 100.0)
            long.append((*head, variant, "signal_kept", share, np.nan, np.nan, "percent"))
            for reference, other in values.items():
                d = value - other + 0.001 * s
                row = (*head, variant, reference, "predictivity_single", d, d - half, d + half)
                if variant != reference:
                    paired += [(*row, method, "1") for method in ("images", "runs")]
    return pd.DataFrame(long, columns=LONG_COLUMNS), pd.DataFrame(paired, columns=PAIRED_COLUMNS)


def advised(*args, primary="nordicOptcom", **options):
    return advise(*made(*args, **options), primary=primary, limits=LIMITS)


def test_where_nordic_helps_the_primary_is_confirmed_and_its_price_said():
    found = advised(HELPS, half=0.002, kept={"nordicOptcom": 74})
    assert (found.verdict, found.supported, found.change) == ("supported", "nordicOptcom", {})
    text = " ".join(sentences(found))
    assert "These data support nordicOptcom" in text
    assert "nothing needs to change" in text
    assert "At a price: nordicOptcom keeps 74 % of the response to images of standardOptcom" in text


def test_where_nordic_harms_another_primary_is_advised():
    found = advised(HARMS, kept={"nordicOptcom": 50, "nordicIca": 40, "nordicSingle": 60})
    assert (found.verdict, found.supported) == ("supported", "standardOptcom")
    assert found.change == {"primary_variant": "standardOptcom"}
    assert found.over_primary.value == pytest.approx(0.097)
    text = " ".join(sentences(found))
    assert "Set `primary_variant: standardOptcom`" in text
    assert "differs from it by +0.097 (95 % interval +0.084 to +0.110)" in text
    assert set(found.warnings) == {"nordicSingle", "nordicOptcom", "nordicIca"}


def test_the_lead_of_the_best_is_corrected_for_the_choice():
    # A lead of 0.011 is clear for one pair (half interval 0.01) and not for the best of six.
    values = dict.fromkeys(HELPS, 0.1) | {"nordicOptcom": 0.111}
    found = advised(values)
    assert found.verdict == "not distinguishable"
    pair = advised({name: values[name] for name in ("standardOptcom", "nordicOptcom")})
    assert (pair.verdict, pair.supported) == ("supported", "nordicOptcom")


def test_ties_go_to_the_simplest_and_a_primary_among_them_stays():
    found = advised(HELPS, half=0.03)
    assert found.as_good == ["nordicSingle", "nordicOptcom", "nordicIca"]
    assert (found.supported, found.change) == ("nordicSingle", {})
    assert "do not tell nordicSingle, nordicOptcom and nordicIca apart" in sentences(found)[0]


def test_where_nothing_tells_variants_apart_a_costly_primary_is_left():
    found = advised(HARMS, half=0.2, kept={"nordicOptcom": 50})
    assert found.best == "standardOptcom"
    assert found.change == {"primary_variant": "standardSingle"}
    # The best itself stays, and its price is said.
    best = advised(HELPS, half=0.2, kept={"nordicOptcom": 70})
    assert (best.best, best.change) == ("nordicOptcom", {})
    assert any("At a price: nordicOptcom" in words for words in sentences(best))


def test_without_repeating_responses_nothing_is_advised():
    found = advised({"standardOptcom": 0.004, "nordicOptcom": 0.01})
    assert (found.verdict, found.supported, found.change) == ("no repeating response", None, {})
    assert "support no variant: not even nordicOptcom foretells" in sentences(found)[0]


def test_the_reason_is_named_where_predictivity_is_not_known():
    long, paired = made(HELPS)
    rest = long[long["metric"] != "predictivity_single"]
    none = paired[:0]
    assert (
        "no image is shown in two runs"
        in advise(rest, none, primary="nordicOptcom", limits=LIMITS).reason
    )
    nordic = rest[rest["variant"].str.startswith("nordic")]
    found = advise(nordic, none, primary="nordicOptcom", limits=LIMITS)
    assert found.verdict == "unknown"
    assert "add standardOptcom or standardSingle to `variants`" in found.reason
    empty = rest.assign(metric="voxels_roi", value=0.0)
    reason = advise(empty, none, primary="nordicOptcom", limits=LIMITS).reason
    assert reason == "the region of the comparison has no voxel"


def test_a_primary_that_is_not_compared_and_one_variant_alone():
    found = advised({"standardSingle": 0.2, "standardOptcom": 0.3})
    assert found.change == {"primary_variant": "standardOptcom"}
    assert "nordicOptcom is not among those compared" in " ".join(sentences(found))
    alone = advised({"standardOptcom": 0.3}, primary="standardOptcom")
    assert (alone.verdict, alone.change) == ("supported", {})


def test_several_subjects_are_combined_by_the_wider_of_both_errors():
    rows = pd.DataFrame(
        [(s, "n/a", d, d - 1.96, d + 1.96) for s, d in (("1", 0.0), ("2", 1.0), ("3", 2.0))],
        columns=["subject", "session", "difference", "ci_low", "ci_high"],
    )
    found = combined(rows, 0.95)
    assert found.value == 1
    assert found.high - 1 == pytest.approx(1.96 / np.sqrt(3), rel=1e-3)
    scattered = rows.assign(difference=[0.0, 10, 20], ci_low=[-1, 9, 19], ci_high=[1, 11, 21])
    found = combined(scattered, 0.95)
    assert found.high - found.value == pytest.approx(1.96 * 10 / np.sqrt(3), rel=1e-3)
    sessions = rows.assign(subject="1", session=["a", "b", "c"])
    assert combined(sessions, 0.95).high - 1 == pytest.approx(1.96 / np.sqrt(3), rel=1e-3)
    assert np.isnan(combined(rows.assign(ci_low=np.nan), 0.95).high)


def test_record_is_json_with_all_that_was_found():
    found = record(advised(HARMS), task="task-images")
    assert json.loads(json.dumps(found)) == found
    assert found["Supported"] == "standardOptcom"
    assert found["Change"] == {"primary_variant": "standardOptcom"}
    assert found["SupportedMinusPrimary"]["Interval"][0] > 0


@pytest.mark.parametrize(
    ("name", "denoised", "better"), [("lost", "full", False), ("found", "full", True)]
)
def test_simulated_data_of_both_kinds(name, denoised, better):
    """From series to advice: NORDIC-like denoising that loses responses, and that finds them."""
    one, variants = families.family(name, 11)
    betas = {"standardOptcom": one.betas(variants["standardOptcom"])}
    betas["nordicOptcom"] = one.betas(variants[denoised])
    trials = pd.DataFrame({"label": one.labels, "run": one.runs})
    n = len(one.roi)
    results = session.evaluate_variants(
        betas, trials=trials, summaries={v: {"NoiseComponents": 0} for v in betas},
        quality={v: {"tsnr": np.ones((6, n)), "fwhm": np.ones(6)} for v in betas},
        seen={v: np.ones(n, bool) for v in betas}, roi=one.roi, brain=np.ones(n, bool),
        threshold=2.0, zscore="run", n_resamples=200, seed=0,
    )  # fmt: skip
    names = {"subject": "01", "session": "01", "task": "images"}
    table = tables.comparison_table(results, **names)
    paired = tables.difference_table(results, references=["standardOptcom"], **names)
    found = advise(table, paired, primary="nordicOptcom", limits=LIMITS)
    assert found.change == ({} if better else {"primary_variant": "standardOptcom"})
    assert found.best == ("nordicOptcom" if better else "standardOptcom")
    assert ("nordicOptcom" in found.warnings) == (not better)
