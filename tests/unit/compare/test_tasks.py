"""One comparison per task: numbers of two tasks are never averaged."""

import numpy as np
import pandas as pd
import pytest

from mebold.compare import tasks
from mebold.compare.advice import Advice
from mebold.compare.subjects import group_table, holm
from mebold.compare.tables import LONG_COLUMNS, PAIRED_COLUMNS
from mebold.compare.text import describe
from mebold.errors import DataError
from mebold.files.tables import read_tsv, write_tsv

GAIN = {"images": 4.0, "faces": -8.0}


def long_table(n_subjects=5, acquisition="n/a"):
    """Return a table in which a variant gains 4 in one task and loses 8 in the other."""
    rows = []
    for s in range(n_subjects):
        for task, gain in GAIN.items():
            for variant, value in (("standardSingle", 20.0 + s), ("nordicOptcom", 20.0 + s + gain)):
                row = (f"{s:02d}", "01", task, acquisition, variant, "noise_ceiling_median")
                rows.append((*row, value, value - 1, value + 1, "percent"))
    return pd.DataFrame(rows, columns=LONG_COLUMNS)


def test_a_gain_in_one_task_and_a_loss_in_another_stay_apart():
    group = group_table(long_table(), references=["standardSingle"]).set_index("task")
    assert dict(group["mean_difference"]) == pytest.approx(GAIN)
    assert dict(group["n_positive"]) == {"images": 5, "faces": 0}
    assert (group["n"] == 5).all()


def test_text_speaks_of_one_task():
    both, none = long_table(1), pd.DataFrame(columns=PAIRED_COLUMNS)
    names = {"baseline": "standardSingle", "primary": "nordicOptcom"}
    names["advice"] = Advice("unknown", "nordicOptcom", reason="nothing was measured")
    with pytest.raises(DataError, match="task-images, task-faces, which must not be averaged"):
        describe(both, none, **names)
    texts = [describe(tasks.rows_of(both, name), none, **names) for name in tasks.names(both)]
    assert "differs from standardSingle by +4.0 points" in texts[0]
    assert "differs from standardSingle by -8.0 points" in texts[1]


def test_acquisitions_of_one_task_are_comparisons_of_their_own():
    both = pd.concat([long_table(), long_table(acquisition="hires")])
    assert tasks.names(both) == [
        "task-images", "task-faces", "task-images_acq-hires", "task-faces_acq-hires",
    ]  # fmt: skip
    assert len(group_table(both, references=["standardSingle"])) == 4
    assert set(tasks.rows_of(both, "task-faces_acq-hires")["acquisition"]) == {"hires"}
    assert tasks.name({"task": "rest", "acquisition": None}) == "task-rest"


def test_absent_labels_survive_a_file(tmp_path):
    table = long_table().assign(session="n/a", task="007")
    write_tsv(tmp_path / "table.tsv", table)
    back = tasks.gathered([read_tsv(tmp_path / "table.tsv")])
    assert back[["session", "acquisition"]].eq("n/a").all(axis=None)
    assert tasks.names(back) == ["task-007"]
    # Without a session level the subjects still count.
    assert back.groupby(["subject", "session"]).ngroups == 5


def test_p_values_of_the_variants_are_corrected_together():
    p = [0.01, np.nan, 0.04, 0.03]
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06])
    assert list(holm([0.5, 0.9])) == [1, 1]
    rng = np.random.default_rng(0)
    rows = []
    for s in range(6):
        for v, variant in enumerate(["standardSingle", "nordicSingle", "nordicOptcom"]):
            value = 10 + 3 * v + rng.standard_normal() * (1 if v else 0)
            rows.append((f"{s}", "01", "images", "n/a", variant, "dprime", value, 0, 0, "1"))
    group = group_table(pd.DataFrame(rows, columns=LONG_COLUMNS), references=["standardSingle"])
    assert list(group["p"]) == [2 / 64, 2 / 64]
    assert list(group["p_holm"]) == [4 / 64, 4 / 64]
    assert list(group["p_holm_floor"]) == [4 / 64, 4 / 64]
