"""Further columns of the events in the trial table."""

import io

import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError
from mebold.files import tables
from mebold.singletrial import carried
from mebold.singletrial.session import TRIAL_COLUMNS, prepare

FIRST = """onset	duration	trial_type	stim_name	response_time	run	code
4.0	2.50	new	b	0.710	1	007
9.0	2.50	blank	n/a	n/a	1	n/a
14.0	2.50	new	a	n/a	1	a "quoted" word
"""
SECOND = """onset	duration	trial_type	stim_name	keys
14.0	2.5	new	c	left
4.0	2.5	new	a	n/a
"""
OPTIONS = {"label_column": "stim_name", "blank": {"trial_type": ["blank"]}}
OPTIONS |= {"stimulus_duration_s": 2.0, "minimum_volumes": 5}


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "first.tsv", tmp_path / "second.tsv"]
    for path, text in zip(paths, (FIRST, SECOND), strict=True):
        path.write_text(text)
    return paths


def session(files, **options):
    runs = [
        {"stem": f"sub-01_task-x_run-{n}", "session": None, "run": str(n), "tr_out": 1.0}
        for n in range(1, len(files) + 1)
    ]
    return prepare(
        [np.ones((3, 60), np.float32)] * len(files),
        [tables.read_tsv(path) for path in files],
        runs=runs,
        cells=[tables.read_cells(path) for path in files],
        **OPTIONS,
        **options,
    )


def test_every_column_follows_its_trial_as_it_is_written(files):
    trials = session(files).trials
    assert list(trials)[: len(TRIAL_COLUMNS)] == list(TRIAL_COLUMNS)
    further = ["duration", "trial_type", "stim_name", "response_time", "events_run", "code", "keys"]
    assert list(trials)[len(TRIAL_COLUMNS) :] == further
    assert trials["label"].tolist() == ["b", "a", "a", "c"]
    assert trials["duration"].tolist() == ["2.50", "2.50", "2.5", "2.5"]
    assert trials["response_time"].tolist() == ["0.710", "n/a", "n/a", "n/a"]
    assert trials["code"].tolist() == ["007", 'a "quoted" word', "n/a", "n/a"]
    assert trials["keys"].tolist() == ["n/a", "n/a", "n/a", "left"]
    assert trials["run"].tolist() == ["1", "1", "2", "2"]


def test_a_run_that_is_left_out_takes_its_columns_along(files):
    runs = [np.ones((3, 60), np.float32), np.ones((3, 4), np.float32)]
    found = prepare(
        runs,
        [tables.read_tsv(path) for path in files],
        runs=[{"stem": f"run-{n}", "session": None, "run": n, "tr_out": 1.0} for n in "12"],
        cells=[tables.read_cells(path) for path in files],
        **OPTIONS,
    )
    assert "keys" not in found.trials
    assert found.trials["response_time"].tolist() == ["0.710", "n/a"]


def test_prefixes_are_put_until_a_name_is_free():
    tables_ = [pd.DataFrame(columns=["onset", "run", "events_run", "label"])]
    names = carried.columns(tables_, TRIAL_COLUMNS)
    assert names == {
        "run": "events_events_run",
        "events_run": "events_run",
        "label": "events_label",
    }


def test_descriptions_come_from_the_sidecar(files):
    sidecar = {"response_time": {"Units": "s", "Description": "After onset."}, "run": "odd"}
    told = session(files).columns(sidecar)
    assert told["response_time"] == {"Units": "s", "Description": "After onset."}
    assert told["events_run"] == {"Description": "Column run of events.tsv, unchanged."}
    assert told["onset"] == TRIAL_COLUMNS["onset"]
    assert list(told) == list(session(files).trials)


def test_text_that_does_not_fit_the_events_row_for_row_is_refused(files):
    with pytest.raises(DataError, match=r"run-1.*3 rows.*2 as text"):
        prepare(
            [np.ones((3, 60), np.float32)],
            [pd.read_csv(io.StringIO(FIRST), sep="\t")],
            runs=[{"stem": "run-1", "session": None, "run": "1", "tr_out": 1.0}],
            cells=[tables.read_cells(files[0]).iloc[:2]],
            **OPTIONS,
        )
