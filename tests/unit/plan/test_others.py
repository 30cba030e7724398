import pandas as pd

from mebold.files import tables
from mebold.plan.others import with_others


def plan_of(*rows):
    columns = ["subject", "session", "task", "stage", "planned", "reason", "echoes"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"planned": bool, "echoes": int})


def test_subjects_that_a_call_leaves_alone_keep_their_rows(tmp_path):
    one = plan_of(
        ("01", "n/a", "n/a", "anat", True, "", 0), ("01", "01", "x", "hmc", False, "old", 3)
    )
    two = plan_of(("02", "01", "x", "hmc", True, "", 3))
    tables.write_tsv(tmp_path / "plan.tsv", one)
    joined = with_others(two, tables.read_tsv(tmp_path / "plan.tsv"))
    pd.testing.assert_frame_equal(joined, pd.concat([one, two], ignore_index=True))
    # Its own rows replace those of before; a second time nothing changes.
    tables.write_tsv(tmp_path / "plan.tsv", joined)
    anew = plan_of(("01", "01", "x", "hmc", True, "", 3))
    joined = with_others(anew, tables.read_tsv(tmp_path / "plan.tsv"))
    assert joined["reason"].tolist() == ["", "", ""]
    assert joined["planned"].all()
    pd.testing.assert_frame_equal(with_others(one, one), one)
