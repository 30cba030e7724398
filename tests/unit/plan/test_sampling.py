"""Sampling interval of the series: kept, given, or found from the onsets."""

import numpy as np
import pytest
from bids_trees import SHAPE, Tree

from mebold.inventory.index import index
from mebold.inventory.runs import collect
from mebold.plan import sampling


@pytest.mark.parametrize(
    ("onsets", "tr", "expected"),
    [
        (np.arange(4, 300, 3), 1.9, 1.0),  # LAION-fMRI: trials of 3 s, TR 1.9 s
        (np.arange(4, 300, 4), 1.6, 1.0),
        (np.arange(0, 300, 4), 2.0, 2.0),  # on volumes
        (np.arange(0, 300, 2.5), 2.0, 0.833333),
        (np.arange(0, 300, 4), 0.8, 0.8),
        (np.cumsum([4, 2.5, 4, 2.5, 5, 4.5]), 1.9, 0.5),
        (np.cumsum(np.random.default_rng(0).uniform(2, 6, 40)), 1.9, 0.5),  # no grid
        ([6.0], 1.9, 1.0),
    ],
)
def test_auto_finds_the_grid_of_the_trials(onsets, tr, expected):
    rng = np.random.default_rng(1)
    jitter = rng.choice([0.0, 0.01, 0.02], len(onsets))
    for shift in (0, jitter):
        found = sampling.for_onsets(np.asarray(onsets, float) + shift, tr)
        assert found == pytest.approx(expected, abs=1e-5)


def test_runs_of_a_subject_and_task_share_an_interval(tmp_path):
    tree = Tree(tmp_path)
    for session in ("01", "02"):
        tree.session("01", session, shape=SHAPE)
    for number, (session, first) in enumerate([("01", 0), ("01", 3), ("02", 1.5), ("02", 0)]):
        stem = f"sub-01_ses-{session}_task-images_run-{number % 2 + 1:02}"
        rows = [f"{first + 3 * n}\t1\tx{n}" for n in range(4)]
        text = "\n".join(["onset\tduration\tstim_name", *rows]) + "\n"
        tree.text(f"sub-01/ses-{session}/func/{stem}_events.tsv", text)
    runs = collect(index(tree.root))
    design = {"label_column": "stim_name"}
    found = sampling.intervals(runs, "auto", design)
    # Onsets at 1.5 s in one run of the second session: a grid of 1 s would move them.
    assert set(found.values()) == {0.75}
    assert set(sampling.intervals(runs, "keep", design).values()) == {1.9}
    assert set(sampling.intervals(runs, 1, design).values()) == {1.0}
    assert set(sampling.intervals(runs, "auto", {"label_column": "absent"}).values()) == {1.9}
