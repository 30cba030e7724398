"""Records of jobs: what is kept, and what of it differs."""

import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from mebold.files.tables import read_json
from mebold.jobs import record
from mebold.jobs.record import Change, Places

CONFIG = {
    "coreg": {"least_dice": 0.8, "target": "auto"},
    "template": {"least_dice": 0.8},
    "output": {"jacobian": False},
    "seed": 0,
}


@pytest.fixture
def job(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    (raw / "sub-01").mkdir(parents=True)
    (raw / "sub-01/a.tsv").write_text("onset")
    return SimpleNamespace(
        rule="series",
        log=[str(out / "work/logs/series/sub-01/a_standard.log")],
        wildcards={"stem": "a", "thermal": "standard"},
        params={
            "code": "resample_series:abc",
            "run": {"tr": 1.9, "times": [0.5] * 200},
            "sources": [str(raw / "sub-01/a.tsv")],
            "given": str(out / "preproc/x.txt"),
            "settings": {"least_dice": 0.8},
            "jacobian": False,
        },
        input=[str(raw / "sub-01/a.tsv"), str(out / "preproc/x.txt"), "/else/T1w.nii"],
        config={"bids_dir": str(raw), "output_dir": str(out), **CONFIG},
    )


def place_of(job):
    return Places(job.config["bids_dir"], job.config["output_dir"]).of_job(job.rule, job.log[0])


def test_a_job_leaves_its_record_when_it_has_ended(job):
    with record.kept(job):
        assert not read_json(place_of(job))["Complete"]
    found = read_json(place_of(job))
    assert place_of(job).as_posix().endswith("out/provenance/series/sub-01/a_standard.json")
    assert found["Complete"]
    assert found["Labels"] == job.wildcards
    assert (found["Script"], found["Code"]) == ("resample_series", "abc")
    # Nothing in it says where the datasets lie, and long lists are short.
    assert found["Inputs"] == {
        "bids:raw:sub-01/a.tsv": f"crc32 {zlib.crc32(b'onset'):08x} 5",
        "bids:preproc:x.txt": "",
        "T1w.nii": "absent",
    }
    times = found["Parameters"]["run"].pop("times")
    assert times.startswith("sha256 ")
    assert found["Parameters"] == {
        "run": {"tr": 1.9}, "given": "bids:preproc/x.txt", "settings": {"least_dice": 0.8},
        "jacobian": False,
    }  # fmt: skip


def test_a_job_that_fails_leaves_an_unfinished_record(job):
    with pytest.raises(KeyError), record.kept(job):
        raise KeyError
    assert not record.read(place_of(job))["Complete"]


def test_keys_of_the_configuration_are_known_by_name_value_and_stage(job):
    params = {"settings": {"least_dice": 0.8}, "jacobian": False, "other": 0, "seed": 1}
    # Two keys have the name: that of the stage counts, and none where the stage has neither.
    assert record.settings(params, CONFIG, "coreg_align") == {
        "settings.least_dice": "coreg.least_dice", "jacobian": "output.jacobian",
    }  # fmt: skip
    assert "settings.least_dice" not in record.settings(params, CONFIG, "hmc_estimate")


def test_changes_are_named_with_before_and_now(job):
    with record.kept(job):
        pass
    places = Places(job.config["bids_dir"], job.config["output_dir"])
    before = record.read(place_of(job))

    def now(**changes):
        params = job.params | changes
        made = record.of_job(
            Places(job.config["bids_dir"], job.config["output_dir"]), labels=job.wildcards,
            params=params, inputs=job.input, complete=True,
        )  # fmt: skip
        return record.changes(places, before, made)

    assert now() == []
    assert now(code="resample_series:abd") == [Change("code", "resample_series")]
    (change,) = now(jacobian=True)
    assert str(change) == "setting output.jacobian: false -> true"
    (change,) = now(run={"tr": 2.0, "times": [0.5] * 200})
    assert str(change) == "parameter run.tr: 1.9 -> 2.0"
    (change,) = now(run={"tr": 1.9, "times": [0.5] * 199 + [0.6]})
    assert str(change).startswith("parameter run.times: ")
    Path(job.config["bids_dir"], "sub-01/a.tsv").write_text("Onset")
    (change,) = now()
    assert str(change) == "input bids:raw:sub-01/a.tsv has other content"
    job.input.pop(1)
    assert "input bids:preproc:x.txt is gone" in map(str, now())


def test_an_input_whose_content_is_not_here_tells_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    places = Places(tmp_path / "raw", tmp_path / "out")
    before = {"bids:raw:a.nii.gz": "gzip 1 2"}
    assert [str(c) for c in record.changed_inputs(places, before, {})] == [
        "input bids:raw:a.nii.gz is gone"
    ]
    (tmp_path / "raw/a.nii.gz").symlink_to(tmp_path / "annex")
    assert record.changed_inputs(places, before, {}) == []


def test_a_damaged_record_is_that_of_an_unfinished_job(tmp_path):
    (tmp_path / "a.json").write_text('{"Complete": tr')
    places = Places(tmp_path, tmp_path / "out")
    (change,) = record.changes(places, record.read(tmp_path / "a.json"), {"Labels": {"sub": "1"}})
    assert change.kind == "unfinished"
    assert record.read(tmp_path / "b.json") is None


def test_an_output_inside_the_raw_data_is_no_raw_file(tmp_path):
    places = Places("/raw", "/raw/derivatives")
    assert places.name("/raw/derivatives/preproc/a.nii") == ("bids:preproc:a.nii", False)
    assert places.name("/raw/sub-01/a.nii") == ("bids:raw:sub-01/a.nii", True)
    assert places.plain({"x": "/raw/derivatives/p/a"}) == {"x": "bids:p/a"}
