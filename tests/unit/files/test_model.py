"""The HDF5 file of a fit."""

import h5py
import numpy as np
import pandas as pd
import pytest

from mebold.files import model
from mebold.files.model import open_model, write


@pytest.fixture
def mask():
    found = np.zeros((2, 3, 4), bool)
    found[0, 1] = True
    return found


def test_arrays_lists_numbers_text_and_none_survive(tmp_path, rng, mask):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    regressors = [rng.normal(size=(5, 2)), rng.normal(size=(7, 2))]
    results = {"betas": betas, "pcs": regressors, "n": 3, "model": "FITHRF", "absent": None}
    results |= {"names": ["b", "a"], "notes": []}
    write(tmp_path / "new" / "m.h5", results, mask=mask)
    with open_model(tmp_path / "new" / "m.h5") as found:
        assert np.array_equal(found["betas"][10:20], betas[10:20])
        assert np.array_equal(found["pcs"]["001"][:], regressors[1])
        assert found["n"][()] == 3
        assert found["model"].asstr()[()] == "FITHRF"
        assert found["absent"].shape is None
        assert found["names"].asstr()[:].tolist() == ["b", "a"]
        assert found["notes"].shape == (0,)
        assert np.array_equal(found["mask"][:] > 0, mask)


def test_betas_are_compressed_in_chunks_of_whole_rows(tmp_path, rng, mask):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    write(tmp_path / "m.h5", {"betas": betas}, mask=mask)
    with open_model(tmp_path / "m.h5") as found:
        rows, columns = found["betas"].chunks
        assert columns == 600
        assert 1 < rows < 200
        assert (found["betas"].compression, found["betas"].shuffle) == ("gzip", True)
    assert (tmp_path / "m.h5").stat().st_size < 0.95 * betas.nbytes


def test_an_array_that_comes_twice_and_links_take_no_room(tmp_path, rng, mask):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    links = {"glmsingle/betasmd": "betas", "glmsingle/TYPEB/betasmd": "first", "glmsingle/x": "no"}
    write(tmp_path / "one.h5", {"betas": betas}, mask=mask)
    write(tmp_path / "two.h5", {"first": betas, "betas": betas}, mask=mask, links=links)
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
