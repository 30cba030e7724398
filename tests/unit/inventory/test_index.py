"""Indexing of small trees: one row per image, inheritance, labels, cache, command line."""

import json
import math
import re

import pandas as pd
import pytest
from bids_trees import SHAPE, Tree
from configured import SCHEMAS

from mebold.errors import MetadataError
from mebold.inventory import __main__, checks, index
from mebold.inventory.table import COLUMNS, read_table, records, write_table
from mebold.jobs.configuration import load_schema
from mebold.plan import __main__ as plan_door


def refreshed(*arguments, **options):
    table, keep = index.refresh(*arguments, **options)
    keep()
    return table


def rows_of(table, **wanted):
    """Return the records that have these values."""
    return [
        row for row in records(table) if all(row[key] == value for key, value in wanted.items())
    ]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("bids"))
    tree.session("01", "01", suffixes=("bold", "sbref"), shape=SHAPE)
    tree.session("01", "02", runs=("01",))
    return tree


@pytest.fixture(scope="module")
def table(tree):
    return index.index(tree.root)


def test_there_is_one_row_per_raw_image_and_all_columns(tree, table):
    images = sorted(p.relative_to(tree.root).as_posix() for p in tree.root.rglob("*.nii.gz"))
    assert sorted(table["path"]) == images
    assert list(table.columns) == list(COLUMNS)


def test_a_bold_row_holds_name_sidecar_and_header(table):
    path = "sub-01/ses-01/func/sub-01_ses-01_task-images_run-02_echo-3_part-phase_bold.nii.gz"
    row = rows_of(table, path=path)[0]
    expected = {
        "subject": "01", "session": "01", "task": "images", "acquisition": None, "run": "02",
        "echo": "3", "part": "phase", "suffix": "bold", "datatype": "func",
        "repetition_time": 1.9, "echo_time": 0.04662, "slice_timing": [0.0, 0.6, 1.2],
        "phase_encoding_direction": "j-", "total_readout_time": 0.0213,
        "readout_by": "TotalReadoutTime", "n_volumes": 8, "shape": list(SHAPE),
        "voxel_mm": [1.8, 1.8, 1.8], "image_state": "ok", "component": "phase", "echo_index": 3,
        "stem": "sub-01_ses-01_task-images_run-02", "folder": "sub-01/ses-01",
        "group": "sub-01_ses-01_task-images", "fieldmap": "phasediff", "n_events": 5,
        "events": "sub-01/ses-01/func/sub-01_ses-01_task-images_run-02_events.tsv",
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected


def test_events_count_labels_that_repeat_in_session_and_subject(table):
    repeats = {row["session"]: row["events_repeats"] for row in rows_of(table, suffix="bold")}
    # run 01 occurs in both sessions: its own label repeats in the subject only
    assert repeats["01"] == {"stim_name": [2, 3]}
    assert repeats["02"] == {"stim_name": [2, 3]}


def test_the_file_gives_back_the_table(table, tmp_path):
    path = tmp_path / "new" / "runs.tsv"
    write_table(table, path)
    pd.testing.assert_frame_equal(read_table(path), table)
    header, first = path.read_text().splitlines()[:2]
    assert header.split("\t")[:10] == [
        "subject", "session", "task", "acquisition", "run", "echo", "part", "suffix", "datatype",
        "path"]  # fmt: skip
    assert first.split("\t")[:3] == ["01", "01", "n/a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("subject\tsession\n", "lacks the column task"), (None, "does not exist")],
)
def test_a_damaged_table_is_named(tmp_path, content, message):
    path = tmp_path / "runs.tsv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MetadataError, match=f"runs.tsv {message}"):
        read_table(path)


def test_a_truncated_table_is_named_with_its_line(table, tmp_path):
    path = tmp_path / "runs.tsv"
    write_table(table, path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(MetadataError, match=f"line {len(table) + 1}"):
        read_table(path)


def test_rows_fulfil_the_schema(table):
    from jsonschema import Draft202012Validator

    schema = load_schema(SCHEMAS / "runs.schema.yaml")
    assert list(schema["properties"]) == list(COLUMNS)
    validator = Draft202012Validator(schema)
    for row in records(table):
        assert [error.message for error in validator.iter_errors(row)] == []


def test_nearer_and_more_special_sidecars_win(tmp_path):
    tree = Tree(tmp_path)
    image = "sub-01/func/sub-01_task-x_run-1_bold.nii.gz"
    tree.image(image)
    tree.image("sub-01/func/sub-01_task-y_bold.nii.gz")
    tree.json("bold.json", {"RepetitionTime": 9, "FlipAngle": 10})
    tree.json("task-x_bold.json", {"RepetitionTime": 3, "EchoTime": 0.01})
    tree.json("sub-01/sub-01_task-x_bold.json", {"RepetitionTime": 2, "EchoTime": 0.02})
    tree.json("sub-01/func/sub-01_task-x_bold.json", {"EchoTime": 0.03})
    tree.json("sub-01/func/sub-01_task-x_run-1_bold.json", {"EchoTime": 0.04})
    x, y = records(index.index(tmp_path))
    assert (x["repetition_time"], x["echo_time"], x["flip_angle"]) == (2, 0.04, 10)
    assert (y["repetition_time"], y["echo_time"]) == (9, None)


def test_sidecars_of_events_are_inherited(tmp_path):
    tree = Tree(tmp_path)
    for run in ("1", "2"):
        tree.run(f"sub-01_task-x_run-{run}", echoes={None: 0.03}, parts=(None,))
    tree.events("task-x_events.tsv", ["a"])
    names = ["task-x_events.json", "sub-01/func/sub-01_task-x_run-2_events.json"]
    for name in names:
        tree.text(name, "{}")
    tree.text("task-y_events.json", "{}")
    rows = records(index.index(tmp_path))
    assert [row["events_sidecars"] for row in rows] == [names[:1], names]


def test_the_nearest_events_file_wins(tmp_path):
    tree = Tree(tmp_path)
    for run in ("1", "2"):
        tree.run(f"sub-01_task-x_run-{run}", echoes={None: 0.03}, parts=(None,))
    tree.events("task-x_events.tsv", ["a"])
    tree.events("sub-01/func/sub-01_task-x_run-2_events.tsv", ["a", "b"])
    rows = records(index.index(tmp_path))
    assert [(row["events"].count("/"), row["n_events"]) for row in rows] == [(0, 1), (2, 2)]
    assert rows[0]["events_repeats"] == {"stim_name": [1, 1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "there is no column 'onset', only: nothing"),
        ("onset\ttrial_type\n1\ta\n", "there is no column 'duration', only: onset, trial_type"),
        ("onset\tduration\n1\t2\n1\n", "line 3 has 1 values for 2 columns"),
    ],
)
def test_an_unreadable_events_file_is_kept_as_a_problem(tmp_path, content, message):
    tree = Tree(tmp_path)
    tree.run("sub-01_task-x", echoes={None: 0.03}, parts=(None,))
    tree.text("task-x_events.tsv", content)
    row = records(index.index(tmp_path))[0]
    assert message in row["events_problem"]
    assert (row["n_events"], row["events_columns"]) == (None, None)
    with pytest.raises(MetadataError, match=r"task-x_events\.tsv: events: "):
        checks.check(index.index(tmp_path))


def test_sidecars_without_part_serve_parts_outside_the_standard(tmp_path):
    tree = Tree(tmp_path)
    for part in ("m", "magnitude", "phs", "ph"):
        tree.image(f"sub-01/func/sub-01_task-x_echo-1_part-{part}_bold.nii.gz")
    tree.json("sub-01/func/sub-01_task-x_echo-1_bold.json", {"RepetitionTime": 1})
    tree.json("sub-01/func/sub-01_task-x_echo-1_part-phs_bold.json", {"ImageType": ["X", "P"]})
    rows = records(index.index(tmp_path))
    assert {row["part"]: row["component"] for row in rows} == {
        "m": "mag", "magnitude": "mag", "phs": "phase", "ph": "phase"}  # fmt: skip
    assert {row["repetition_time"] for row in rows} == {1.0}


def test_labels_select_with_and_without_prefix(tree):
    table = index.index(tree.root, participant_labels=["sub-01"], session_labels=["02"])
    assert set(table.loc[table["datatype"] != "anat", "session"]) == {"02"}
    assert set(table.loc[table["datatype"] == "anat", "session"]) == {"01", "02"}


def test_a_label_whose_zeros_the_command_line_lost_is_understood(tree):
    table = index.index(tree.root, participant_labels=["1"], session_labels=["2"])
    assert set(table["subject"]) == {"01"}
    assert set(table.loc[table["datatype"] != "anat", "session"]) == {"02"}


def test_a_label_that_is_not_there_is_named_with_those_that_are(tree):
    with pytest.raises(MetadataError, match=r"ses-03.*sessions there: 01, 02"):
        index.index(tree.root, session_labels=["03"])
    with pytest.raises(MetadataError, match=r"task-rest.*tasks there: images"):
        index.index(tree.root, task_labels=["rest"])


@pytest.mark.parametrize("name", ["sub-02_T1w", "sub-01_ses-1_T1w", "T1w"])
def test_a_file_in_the_folder_of_another_is_named(tmp_path, name):
    tree = Tree(tmp_path)
    tree.image(f"sub-01/anat/{name}.nii.gz")
    words = rf"{name}\.nii\.gz: the name says .* lies in sub-01"
    if name == "T1w":
        with pytest.raises(MetadataError, match=words):
            index.index(tmp_path)
    else:
        assert re.search(words, index.index(tmp_path)["problem"][0])


@pytest.mark.parametrize("content", ["{broken", "[1, 2]", '{"EchoTime": "abc"}'])
def test_a_bad_sidecar_is_named(tmp_path, content):
    tree = Tree(tmp_path)
    tree.image("sub-01/func/sub-01_task-x_bold.nii.gz")
    tree.text("sub-01/func/sub-01_task-x_bold.json", content)
    assert "sub-01_task-x_bold" in index.index(tmp_path)["problem"][0]


@pytest.mark.parametrize("value", [None, [None], 3, {"a": 1}])
def test_an_intended_for_of_no_sense_is_no_obstacle(tmp_path, value):
    tree = Tree(tmp_path)
    tree.phasediff(IntendedFor=value)
    tree.run("sub-01_task-x", echoes={None: 0.03}, parts=(None,))
    run = rows_of(index.index(tmp_path), suffix="bold")[0]
    assert (run["fieldmap"], run["fieldmap_by"]) == ("phasediff", "only one in the session")
    assert run["repetition_time"] == 1.9


def test_refresh_indexes_only_the_session_that_changed(tmp_path, monkeypatch):
    tree = Tree(tmp_path / "bids")
    for session in ("01", "02"):
        tree.session("01", session, runs=("01",), echoes={None: 0.03}, parts=(None,))
    indexed = []
    original = index._index_rows

    def spy(root, files, images):
        indexed.append(sorted({image.part_of for image in images}))
        return original(root, files, images)

    monkeypatch.setattr(index, "_index_rows", spy)
    path = tmp_path / "out" / "runs.tsv"
    first = refreshed(tree.root, path)
    written = path.stat().st_mtime_ns
    again = refreshed(tree.root, path)
    assert indexed == [["sub-01/ses-01", "sub-01/ses-02"]]
    assert path.stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(first, again)

    tree.session("01", "03", runs=("01",), echoes={None: 0.03}, parts=(None,))
    events = "sub-01/ses-02/func/sub-01_ses-02_task-images_run-01_events.tsv"
    tree.events(events, ["shared_a", "new", "new"])
    third = refreshed(tree.root, path)
    assert indexed[1:] == [["sub-01/ses-02", "sub-01/ses-03"]]
    pd.testing.assert_frame_equal(third, index.index(tree.root))
    pd.testing.assert_frame_equal(third, read_table(path))

    tree.json("task-images_bold.json", {"FlipAngle": 60})
    fourth = refreshed(tree.root, path)
    assert set(fourth.loc[fourth["suffix"] == "bold", "flip_angle"]) == {60.0}


def test_refresh_drops_what_was_removed_or_deselected(tmp_path):
    tree = Tree(tmp_path / "bids")
    for subject in ("01", "02"):
        tree.image(f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
    path = tmp_path / "runs.tsv"
    assert len(refreshed(tree.root, path)) == 2
    assert len(refreshed(tree.root, path, participant_labels=["02"])) == 1
    (tree.root / "sub-01/anat/sub-01_T1w.nii.gz").unlink()
    assert refreshed(tree.root, path)["subject"].tolist() == ["02"]


def test_nothing_is_written_until_the_table_is_kept(tmp_path):
    tree = Tree(tmp_path / "bids")
    tree.image("sub-01/anat/sub-01_T1w.nii.gz")
    path = tmp_path / "out/runs.tsv"
    table, keep = index.refresh(tree.root, path)
    assert len(table) == 1
    assert not path.parent.exists()
    keep()
    assert path.exists()


def test_a_failed_refresh_leaves_the_old_table(tmp_path):
    tree = Tree(tmp_path / "bids")
    tree.image("sub-01/anat/sub-01_T1w.nii.gz", {})
    path = tmp_path / "runs.tsv"
    refreshed(tree.root, path)
    before = path.read_text()
    tree.image("sub-01/anat/T1w.nii.gz")
    with pytest.raises(MetadataError):
        refreshed(tree.root, path)
    assert path.read_text() == before


def test_echoes_are_numbered_by_echo_time_not_by_label(tmp_path):
    tree = Tree(tmp_path)
    tree.run("sub-01_task-x", echoes={"10": 0.01, "2": 0.02, "01": 0.03}, parts=("mag",))
    rows = records(index.index(tmp_path))
    assert {row["echo"]: row["echo_index"] for row in rows} == {"10": 1, "2": 2, "01": 3}


def test_noise_scans_take_the_echo_numbers_of_their_run(tmp_path):
    tree = Tree(tmp_path)
    tree.run("sub-01_task-x", echoes={"2": 0.01, "1": 0.02}, parts=("mag",))
    for echo in ("1", "2"):
        tree.image(f"sub-01/func/sub-01_task-x_echo-{echo}_part-mag_noRF.nii.gz", {})
    rows = records(index.index(tmp_path))
    scans = {row["echo"]: row for row in rows if row["suffix"] == "noRF"}
    assert {echo: row["echo_index"] for echo, row in scans.items()} == {"2": 1, "1": 2}
    assert scans["1"]["component"] == "mag"
    assert scans["1"]["stem"] == "sub-01_task-x"


def test_command_line_writes_the_table_and_prints_the_plan(tree, tmp_path, capsys):
    path = tmp_path / "runs.tsv"
    assert __main__.main([str(tree.root), "-o", str(path)]) == 0
    assert len(read_table(path)) == len(index.index(tree.root))
    assert plan_door.main([str(tree.root), "--session-label", "02"]) == 0
    out = capsys.readouterr().out
    assert "sub-01_ses-02: 1 run\n" in out
    assert "task-images_run-01  3 " in out
    assert "sub-01_ses-01:" not in out
    plan = tmp_path / "plan.tsv"
    assert plan_door.main([str(tree.root), "-o", str(plan)]) == 0
    assert plan.read_text().startswith("subject\tsession\ttask\trun\tstem\tgroup\tstage\tplanned")


@pytest.mark.parametrize("door", [__main__, plan_door])
def test_command_line_says_what_is_wrong_and_writes_nothing(tmp_path, capsys, door):
    tree = Tree(tmp_path / "bids")
    output = tmp_path / "out" / "runs.tsv"
    arguments = [str(tree.root), "-o", str(output)]
    assert door.main(arguments) == 2
    assert "holds no BOLD, fieldmap or anatomical image" in capsys.readouterr().err
    tree.run("sub-01_task-x", parts=("phase",))
    assert door.main(arguments) == 2
    message = capsys.readouterr().err
    assert "sub-01_task-x_echo-1_part-phase_bold.nii.gz: part" in message
    assert "Traceback" not in message
    assert not output.parent.exists()


def test_command_line_names_a_folder_that_is_not_there(tmp_path, capsys):
    assert __main__.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err


def test_absent_numbers_are_missing_not_zero(tmp_path):
    tree = Tree(tmp_path)
    tree.image("sub-01/func/sub-01_task-x_bold.nii")
    table = index.index(tmp_path)
    assert math.isnan(table["repetition_time"][0])
    assert table["n_volumes"][0] is pd.NA
    assert table["image_state"][0] == "empty"
    assert json.loads(table.to_json())["session"]["0"] == "n/a"


def test_a_fieldmap_of_a_task_left_out_is_not_given_to_another(tmp_path):
    tree = Tree(tmp_path)
    tree.phasediff(B0FieldIdentifier="front")
    tree.run("sub-01_task-front", B0FieldSource="front")
    tree.run("sub-01_task-x")
    options = {"task_labels": ["x"]}
    for table in (
        index.index(tree.root, **options),
        refreshed(tree.root, tmp_path / "runs.tsv", **options),
    ):
        assert set(table.loc[table["suffix"] == "bold", "fieldmap"]) == {"n/a"}
    options["assign"] = "session"
    table = refreshed(tree.root, tmp_path / "runs.tsv", **options)
    assert set(table.loc[table["suffix"] == "bold", "fieldmap"]) == {"front"}


def test_sbrefs_are_matched_with_the_echoes_by_echo_time(tmp_path):
    tree = Tree(tmp_path)
    tree.run("sub-01_task-x", parts=("mag",))
    for label, time in (("1", 0.02882), ("2", 0.0466), ("3", 0.06)):  # the labels mislead
        name = f"sub-01/func/sub-01_task-x_echo-{label}_sbref.nii.gz"
        tree.image(name, {"EchoTime": time})
    tree.image("sub-01/func/sub-01_task-y_echo-2_bold.nii.gz", {"EchoTime": 0.03})
    tree.image("sub-01/func/sub-01_task-y_echo-2_sbref.nii.gz", {})
    rows = records(index.index(tree.root))
    found = {r["path"].split("_", 1)[1]: r["echo_index"] for r in rows if r["suffix"] == "sbref"}
    assert found == {
        "task-x_echo-1_sbref.nii.gz": 2, "task-x_echo-2_sbref.nii.gz": 3,
        "task-x_echo-3_sbref.nii.gz": None, "task-y_echo-2_sbref.nii.gz": 1,
    }  # fmt: skip
