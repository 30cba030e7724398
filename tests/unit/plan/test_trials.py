"""Events are checked while planning, with numbers; a run that cannot be fitted is named."""

import pytest
from bids_trees import SHAPE, Tree

from mebold.errors import MetadataError
from mebold.inventory.index import index
from mebold.inventory.runs import collect
from mebold.plan import study, trials

STEM = "sub-01_ses-01_task-images_run-01"
EVENTS = f"sub-01/ses-01/func/{STEM}_events.tsv"
DESIGN = {"label_column": "stim_name", "blank": {"trial_type": ["blank"]}}
CONFIG = {
    "variants": ["standardSingle", "nordicOptcom"],
    "design": DESIGN | {"minimum_volumes": 8},
    "output": {"repetition_time_s": 1.0},
}


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.session("01", "01", shape=SHAPE)  # 8 volumes of 1.9 s
    return tree


def fit(tree, *lines, header="onset\tduration\tstim_name", strict=False, **config):
    """Write the events of run 1 and return what the plan decides about its fit."""
    tree.text(EVENTS, "\n".join([header, *lines]) + "\n")
    plan = study.decide(index(tree.root), CONFIG | {"strict": strict} | config).plan
    row = plan[(plan["stage"] == "singletrial") & (plan["stem"] == STEM)].iloc[0]
    return bool(row["planned"]), row["reason"]


def test_onsets_on_the_grid_need_no_word(tree):
    assert fit(tree, "0\t1\ta", "3\t1\tb", "6\t1\ta") == (True, "")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["n/a\t1\ta", "3\t1\tb"], "1 of 2 onsets are no numbers, such as 'n/a'"),
        (["-4\t1\ta", "3\t1\tb"], "1 of 2 trials start before the run, the first at -4 s"),
        (["100\t1\ta", "103\t1\tb"], "all 2 trials start after the run's end (100 s"),
        (["3\t1\ta", "3.2\t1\tb"], "one sample at 1 places, first those at 3 and 3.2 s on a grid"),
        (["3\t1\tn/a", "6\t1\tb"], "1 of 2 trials have no 'stim_name'"),
    ],
)
def test_events_that_cannot_be_fitted(tree, lines, words):
    planned, reason = fit(tree, *lines)
    assert not planned
    assert words in reason
    assert EVENTS in reason
    with pytest.raises(MetadataError, match="`strict: true`"):
        fit(tree, *lines, strict=True)


def test_late_trials_and_shifts_are_said_and_fitted(tree):
    late = fit(tree, "3\t1\ta", "20\t1\tb")
    assert late[0]
    assert (
        "1 of 2 trials start after the run's end (the first at 20 s, the run ends at 15.2 s)"
        in (late[1])
    )
    moved = fit(tree, "3\t1\ta", "6.4\t1\tb")
    assert moved[0]
    assert "1 of 2 onsets are moved by up to 0.40 s onto the samples, every 1 s" in moved[1]
    output = {"repetition_time_s": "auto"}
    assert fit(tree, "3\t1\ta", "6.5\t1\tb", output=output) == (True, "")


def test_trials_close_to_the_end_are_said_and_left_out(tree):
    design = CONFIG["design"] | {"minimum_tail_s": "auto"}
    # Eight volumes of 1.9 s on a grid of 1 s end at 16 s; a stimulus of 1 s asks for 5.7 s.
    planned, reason = fit(tree, "3\t1\ta", "10\t1\ta", "11\t1\tb", "14\t1\tb", design=design)
    assert planned
    assert "2 of 4 trials start less than 5.7 s before the run's end (15.2 s)" in reason
    planned, reason = fit(tree, "11\t1\tb", "14\t1\tb", design=design)
    assert not planned
    assert "all 2 trials start less than 5.7 s" in reason
    assert "`design.minimum_tail_s`" in reason


def test_durations_that_differ_or_lack_are_said(tree):
    planned, reason = fit(tree, "3\t1\ta", "6\t2\ta", "9\t1\tb")
    assert planned
    assert "durations of the trials differ (1 to 2 s): all are fitted as 1 s" in reason
    assert fit(tree, "3\t1\ta", "6\t1.05\ta")[1] == ""
    planned, reason = fit(tree, "3\tn/a\ta", "6\tn/a\ta")
    assert not planned
    assert "`design.stimulus_duration_s`" in reason
    given = CONFIG["design"] | {"stimulus_duration_s": 2.0}
    assert fit(tree, "3\tn/a\ta", "6\tn/a\ta", design=given) == (True, "")


def test_blanks_are_no_trials_and_an_absent_blank_column_means_none(tree):
    header = "onset\tduration\tstim_name\ttrial_type"
    assert fit(tree, "0\t1\tn/a\tblank", "3\t1\ta\timage", header=header) == (True, "")
    planned, reason = fit(tree, "0\t1\ta\tblank", header=header)
    assert not planned
    assert "all 1 rows are blank" in reason


def test_repeats_are_counted_in_the_trials_that_are_fitted(tree):
    for run in ("01", "02"):
        tree.events(EVENTS.replace("run-01", f"run-{run}"), ["a", f"b{run}"])

    def planned(config):
        plan = study.decide(index(tree.root), config).plan
        return bool(plan.loc[plan["stage"] == "noiseceiling", "planned"].iloc[0])

    assert planned(CONFIG)
    assert not planned(CONFIG | {"exclude": ["run-02"]})
    # The second presentation of the image that repeats is too close to the end.
    for run, onsets in (("01", "3"), ("02", "14")):
        text = f"onset\tduration\tstim_name\n6\t1\tb{run}\n{onsets}\t1\ta\n"
        tree.text(EVENTS.replace("run-01", f"run-{run}"), text)
    assert planned(CONFIG)
    assert not planned(CONFIG | {"design": CONFIG["design"] | {"minimum_tail_s": 3}})


def test_presentations_are_counted_over_the_runs(tree):
    for run, images in (("01", "aab"), ("02", "abc")):
        rows = [f"{3 * n}\t1\t{image}" for n, image in enumerate(images)]
        text = "\n".join(["onset\tduration\tstim_name", *rows]) + "\n"
        tree.text(EVENTS.replace("run-01", f"run-{run}"), text)
    runs = collect(index(tree.root))
    steps = dict.fromkeys((run.stem for run in runs), 1.0)
    shown, in_two_runs = trials.repeats(runs, DESIGN, steps)
    assert dict(shown) == {"a": 3, "b": 2, "c": 1}
    assert in_two_runs == 2
    assert trials.repeats(runs, {"label_column": "absent"}, steps) is None


def test_ica_counts_acquired_volumes(tree):
    config = CONFIG | {"ica": {"minimum_volumes": 10}, "variants": ["standardIca"]}
    plan = study.decide(index(tree.root), config).plan
    reason = plan.loc[plan["stage"] == "ica", "reason"].iloc[0]
    assert "8 volumes acquired, fewer than 10 (`ica.minimum_volumes`)" in reason
