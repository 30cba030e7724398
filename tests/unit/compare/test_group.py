"""Five simulated subjects of known effect, from betas to the text of the group."""

import numpy as np
import pandas as pd
import pytest

from mebold.compare import session, subjects, tables, variant
from mebold.compare.advice import advise
from mebold.compare.text import describe
from mebold.figures.compare import variant_comparison

N_IMAGES, N_RUNS, N_ROI, N_VOXELS = 60, 4, 60, 120
STRENGTH = 0.7
NAMES = {"baseline": "standardSingle", "primary": "nordicOptcom"}
LIMITS = {"least_signal_kept": 80, "most_smoothness_growth": 25, "least_responsive_kept": 80}


def true_ceiling(noise):
    """Noise ceiling of two presentations in percent, from the simulated variances."""
    return 100 * STRENGTH**2 / (STRENGTH**2 + noise**2 / 2)


def subject(seed, noises):
    """Return the tables of one subject whose variants have the given noise."""
    rng = np.random.default_rng(seed)
    labels = np.r_[np.repeat(np.arange(N_IMAGES), 2), 1000 + np.arange(24)]
    rng.shuffle(labels)
    runs = np.arange(labels.size) * N_RUNS // labels.size
    roi = np.arange(N_VOXELS) < N_ROI
    images = STRENGTH * rng.standard_normal((N_VOXELS, 1100)) * roi[:, None]
    cells, draws = session.prepare(labels, runs, n_resamples=60, seed=seed)
    results = {}
    for name, noise in noises.items():
        betas = images[:, labels] + noise * rng.standard_normal((N_VOXELS, labels.size))
        results[name] = variant.evaluate(
            betas, labels=labels, runs=runs, roi=roi, cells=cells, resamples=draws
        )
    names = {"subject": f"{seed:02d}", "session": "01", "task": "images"}
    return (
        tables.comparison_table(results, **names),
        tables.difference_table(results, references=[NAMES["baseline"]], **names),
    )


def group(noises, first=0):
    long, paired = (
        pd.concat(tables)
        for tables in zip(*(subject(first + i, noises) for i in range(5)), strict=True)
    )
    return long, paired, subjects.group_table(long, references=[NAMES["baseline"]])


def ceiling_row(table):
    return table.set_index("metric").loc["noise_ceiling_median"]


def test_known_effect_is_found_with_the_smallest_p_that_five_subjects_allow():
    long, paired, table = group({"standardSingle": 1.0, "nordicOptcom": 0.7})
    row = ceiling_row(table)
    effect = true_ceiling(0.7) - true_ceiling(1.0)
    assert abs(row["mean_difference"] - effect) < 3 * row["sem_difference"] + 1
    assert row["mean"] == pytest.approx(true_ceiling(0.7), abs=4)
    assert (row["n"], row["n_positive"]) == (5, 5)
    assert row["p"] == row["p_floor"] == 0.0625
    known = NAMES | {"advice": advise(long, paired, primary="nordicOptcom", limits=LIMITS)}
    text = describe(long, paired, group=table, **known)
    assert "5 of 5" in text
    assert "sign-flip p = 0.0625 (5 subjects cannot give less than 0.0625)" in text
    figure = variant_comparison(long, paired, group=table, limits=LIMITS, **known)
    assert "p = 0.0625" in " ".join(t.get_text() for a in figure.axes for t in a.texts)


def test_without_an_effect_the_floor_is_reached_as_often_as_chance_says():
    rows = [
        ceiling_row(group({"standardSingle": 1.0, "nordicOptcom": 1.0}, first=10 * i)[2])
        for i in range(24)
    ]
    # One of 16 sign patterns pairs reaches it: 1.5 of 24 on average, 6 or more once in 500 times.
    assert sum(row["p"] == row["p_floor"] for row in rows) < 6
    assert np.mean([row["p"] for row in rows]) == pytest.approx(0.53, abs=0.2)
    assert abs(np.mean([row["mean_difference"] for row in rows])) < 1
