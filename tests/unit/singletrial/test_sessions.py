"""The trials of several sessions in one table."""

import pandas as pd

from mebold.singletrial import sessions


def test_trials_are_numbered_through_and_keep_their_number():
    one = pd.DataFrame({"session": "01", "beta_index": [0, 1], "label": ["a", "b"], "rt": [1, 2]})
    two = pd.DataFrame({"session": "02", "beta_index": [0], "label": ["a"], "key": ["left"]})
    table = sessions.joined([one, two])
    assert list(table)[:4] == ["session", "beta_index", "session_beta_index", "label"]
    assert table["beta_index"].tolist() == [0, 1, 2]
    assert table["session_beta_index"].tolist() == [0, 1, 0]
    assert table["rt"].tolist() == [1, 2, "n/a"]
    assert table["key"].tolist() == ["n/a", "n/a", "left"]
    told = sessions.columns([{"rt": {"Units": "s"}, "key": {"A": 1}}, {"key": {"A": 2}}])
    assert told["rt"] == {"Units": "s"}
    assert told["key"] == {"A": 1}
    assert set(told) == {"rt", "key", "beta_index", "session_beta_index"}
