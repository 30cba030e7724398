"""Which T1w images of a subject are averaged."""

from mebold.plan import anatomy


def row(name, suffix="T1w"):
    return {"path": f"sub-01/anat/sub-01_{name}{suffix}.nii.gz", "suffix": suffix, "shape": None}


def names(kinds, used, **options):
    found = anatomy.averaged_with(kinds, used, **options)
    return [r["path"].rsplit("/", 1)[-1] for r in found]


def test_repeats_of_one_protocol_are_averaged(monkeypatch):
    monkeypatch.setattr(anatomy, "series_of", lambda row: row["shape"] == "series")
    used = row("run-1_")
    others = [row("run-3_"), row("run-2_"), row("acq-fast_run-1_"), row("rec-nonorm_run-1_")]
    series = row("run-4_") | {"shape": "series"}
    kinds = {"T1w": [*others, used, series]}
    assert names(kinds, used) == ["sub-01_run-2_T1w.nii.gz", "sub-01_run-3_T1w.nii.gz"]
    assert names(kinds, used, wanted="run-1") == []


def test_what_came_later_is_not_averaged(monkeypatch):
    monkeypatch.setattr(anatomy, "series_of", lambda _: False)
    used, second, third = row("run-1_"), row("run-2_"), row("run-3_")
    kinds = {"T1w": [used, second, third]}
    kept = {"T1w": used["path"], anatomy.AVERAGED: [second["path"]]}
    assert names(kinds, used, kept=kept) == ["sub-01_run-2_T1w.nii.gz"]
    assert names(kinds, used, kept={"T1w": used["path"]}) == []


def test_a_unit1_is_never_averaged():
    used = row("run-1_", "UNIT1")
    assert names({"UNIT1": [used, row("run-2_", "UNIT1")]}, used) == []
