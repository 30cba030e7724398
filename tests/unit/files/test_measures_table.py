"""One row per scan, whatever became of it."""

from mebold.files import measures_table, tables

UNITS = {"gm_ml": ("mL", "grey matter"), "cnr": ("1", "contrast")}


def test_failures_and_what_was_left_out_are_rows(tmp_path):
    for sub in ("sub-02", "sub-10"):
        (tmp_path / sub / "anat").mkdir(parents=True)
        path = tmp_path / sub / "anat" / f"{sub}_{measures_table.NAME}"
        measures_table.save(path, sub, {"gm_ml": 600.12345678, "cnr": None}, ["too dark."])
    log = tmp_path / "sub-03.log"
    log.write_text("12:00 x INFO fine\n12:01 mebold.job ERROR no brain found: it is noise.\n")
    planned = ["sub-10", "sub-02", "sub-03", "sub-04"]
    made = measures_table.collect(
        tmp_path, planned,
        logs={"sub-03": log}, left_out={"sub-01": "no T1w or UNIT1 image"}, units=UNITS,
    )  # fmt: skip
    table = tables.read_tsv(made).set_index("participant_id")
    assert list(table["status"]) == ["left out", "done", "failed", "failed", "done"]
    assert table["gm_ml"]["sub-02"] == 600.1235
    assert table["warnings"]["sub-02"] == "too dark."
    assert table["reason"]["sub-01"] == "no T1w or UNIT1 image"
    assert "no brain found: it is noise. (work/logs/anat/sub-03.log)" in table["reason"]["sub-03"]
    assert "left no log" in table["reason"]["sub-04"]
    about = tables.read_json(made.with_suffix(".json"))
    assert about["gm_ml"]["Units"] == "mL"
    assert set(about) == set(table.columns) | {"participant_id"}


def test_a_damaged_row_is_the_failure_of_one_scan(tmp_path):
    for sub in ("sub-01", "sub-02"):
        (tmp_path / sub / "anat").mkdir(parents=True)
        path = tmp_path / sub / "anat" / f"{sub}_{measures_table.NAME}"
        measures_table.save(path, sub, {"gm_ml": 600.0}, [])
    path.write_text("")
    known = {"logs": {}, "left_out": {}, "units": UNITS}
    made = measures_table.collect(tmp_path, ["sub-01", "sub-02"], **known)
    table = tables.read_tsv(made).set_index("participant_id")
    assert list(table["status"]) == ["done", "failed"]
    assert "remove it and call again" in table["reason"]["sub-02"]


def test_without_scans_there_is_no_table(tmp_path):
    assert measures_table.collect(tmp_path, [], logs={}, left_out={}, units=UNITS) is None
