"""The HDF5 file of a fit."""

import h5py
import numpy as np
import pandas as pd
import pytest

from mebold.errors import DataError
from mebold.files import model
from mebold.files.model import open_model, write


@pytest.fixture
def mask():
    found = np.zeros((2, 3, 4), bool)
    found[0, 1] = True
    return found


LARGE = np.ones((20, 10, 10), bool)


def test_arrays_lists_numbers_text_and_none_survive(tmp_path, rng):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    regressors = [rng.normal(size=(5, 2)), rng.normal(size=(7, 2))]
    results = {"betas": betas, "pcs": regressors, "n": 3, "model": "FITHRF", "absent": None}
    results |= {"names": ["b", "a"], "notes": []}
    write(tmp_path / "new" / "m.h5", results, mask=LARGE)
    with open_model(tmp_path / "new" / "m.h5") as found:
        assert np.array_equal(found["betas"][10:20], betas[10:20])
        assert np.array_equal(found["pcs"]["001"][:], regressors[1])
        assert found["n"][()] == 3
        assert found["model"].asstr()[()] == "FITHRF"
        assert found["absent"].shape is None
        assert found["names"].asstr()[:].tolist() == ["b", "a"]
        assert found["notes"].shape == (0,)
        assert np.array_equal(found["mask"][:] > 0, LARGE)


def test_betas_are_compressed_in_chunks_of_whole_rows(tmp_path, rng):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    write(tmp_path / "m.h5", {"betas": betas}, mask=LARGE)
    with open_model(tmp_path / "m.h5") as found:
        rows, columns = found["betas"].chunks
        assert columns == 600
        assert 1 < rows < 200
        assert (found["betas"].compression, found["betas"].shuffle) == ("gzip", True)
    assert (tmp_path / "m.h5").stat().st_size < 0.95 * betas.nbytes


def test_an_array_that_comes_twice_and_links_take_no_room(tmp_path, rng):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    links = {"glmsingle/betasmd": "betas", "glmsingle/TYPEB/betasmd": "first", "glmsingle/x": "no"}
    write(tmp_path / "one.h5", {"betas": betas}, mask=LARGE)
    write(tmp_path / "two.h5", {"first": betas, "betas": betas}, mask=LARGE, links=links)
    sizes = [(tmp_path / name).stat().st_size for name in ("one.h5", "two.h5")]
    assert sizes[1] - sizes[0] < 5000
    with open_model(tmp_path / "two.h5") as found:
        for name in ("betas", "first", "glmsingle/betasmd", "glmsingle/TYPEB/betasmd"):
            assert np.array_equal(found[name][5], betas[5])
        assert list(found["glmsingle"]) == ["TYPEB", "betasmd"]


def test_a_table_comes_back_with_its_order_and_types(tmp_path, mask):
    table = pd.DataFrame({"z": ["a", None], "b": [1, 2], "a": [0.5, np.nan], "ü": ["n/a", "ä"]})
    write(tmp_path / "m.h5", {"trials": model.columns_of(table)}, mask=mask)
    with open_model(tmp_path / "m.h5") as found:
        read = model.trials_of(found)
    assert list(read) == ["z", "b", "a", "ü"]
    assert read["z"].tolist() == ["a", "n/a"]
    assert read["b"].dtype.kind == "i"
    assert np.isnan(read["a"][1])
    assert read["ü"].tolist() == ["n/a", "ä"]


def test_attributes_reach_every_array_of_a_list(tmp_path, mask):
    results = {"design": [np.zeros((4, 2)), np.ones((5, 2))], "tr": 1.0}
    attributes = {"design": {"units": "1"}, "tr": {"units": "s"}, "other": {"units": "no"}}
    write(tmp_path / "m.h5", results, mask=mask, affine=np.eye(4), attributes=attributes)
    with h5py.File(tmp_path / "m.h5") as found:
        assert [item.attrs["units"] for item in found["design"].values()] == ["1", "1"]
        assert found["tr"].attrs["units"] == "s"
        assert np.array_equal(found["affine"][:], np.eye(4))


def test_what_is_said_of_the_fit_comes_back(tmp_path, mask):
    told = {"Options": {"n_pcs": np.int64(3)}, "Runs": ["a"], "Nothing": np.nan}
    write(tmp_path / "m.h5", {}, mask=mask, about=told)
    with open_model(tmp_path / "m.h5") as found:
        assert model.about(found) == {"Options": {"n_pcs": 3}, "Runs": ["a"], "Nothing": None}


def session_file(path, rng, mask, n_trials, session):
    betas = rng.normal(size=(4, n_trials)).astype(np.float32)
    maps = {name: rng.normal(size=4).astype(np.float32) for name in model._JOINED[1:]}
    maps["hrf_index"] = np.arange(4, dtype=np.int16)
    trials = pd.DataFrame({"label": ["a"] * n_trials, "session": session})
    results = {"betas": betas, **maps, "trials": model.columns_of(trials)}
    units = {"betas": {"units": "percent", "axes": "voxel, trial"}}
    write(path, results, mask=mask, affine=np.eye(4), attributes=units)
    return betas, maps, trials


def test_sessions_are_joined_without_copies_and_may_be_moved(tmp_path, rng, mask, monkeypatch):
    folder = tmp_path / "before" / "glm" / "sub-01"
    paths = [folder / f"ses-{n}" / "func" / "m.h5" for n in "12"]
    parts = [session_file(path, rng, mask, n, n) for path, n in zip(paths, (5, 3), strict=True)]
    trials = pd.concat([part[2] for part in parts], ignore_index=True)
    monkeypatch.chdir(tmp_path)
    relative = [path.relative_to(tmp_path) for path in paths]
    joined = folder.relative_to(tmp_path) / "all.h5"
    model.join(joined, relative, trials=trials, about={"Sources": ["x"]})
    assert joined.stat().st_size < 60_000
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.chdir("/")
    with open_model(tmp_path / "after" / "glm" / "sub-01" / "all.h5") as found:
        np.testing.assert_array_equal(found["betas"][:], np.hstack([part[0] for part in parts]))
        np.testing.assert_array_equal(found["r2"][:, 1], parts[1][1]["r2"])
        assert found["hrf_index"].dtype == np.int16
        assert found["betas"].attrs["units"] == "percent"
        assert found["r2"].attrs["axes"] == "voxel, session"
        assert model.trials_of(found)["session"].tolist() == [5] * 5 + [3] * 3
        assert found["betas"].is_virtual
        assert model.about(found) == {"Sources": ["x"]}


def test_a_session_that_is_gone_reads_as_unknown(tmp_path, rng, mask):
    paths = [tmp_path / name for name in ("a.h5", "b.h5")]
    parts = [session_file(path, rng, mask, 2, "1") for path in paths]
    trials = pd.concat([part[2] for part in parts], ignore_index=True)
    model.join(tmp_path / "all.h5", paths, trials=trials, about={})
    paths[1].unlink()
    with open_model(tmp_path / "all.h5") as found:
        assert np.isfinite(found["betas"][:, :2]).all()
        assert np.isnan(found["betas"][:, 2:]).all()


def test_sessions_on_other_grids_or_trials_are_refused(tmp_path, rng, mask):
    paths = [tmp_path / name for name in ("a.h5", "b.h5")]
    trials = pd.concat([session_file(path, rng, mask, 2, "1")[2] for path in paths])
    with pytest.raises(DataError, match=r"3 rows for \[2, 2\] betas"):
        model.join(tmp_path / "all.h5", paths, trials=trials[:3], about={})
    session_file(paths[1], rng, np.roll(mask, 1, 0), 2, "1")
    with pytest.raises(DataError, match=r"b\.h5 has another mask than .*a\.h5"):
        model.join(tmp_path / "all.h5", paths, trials=trials, about={})
