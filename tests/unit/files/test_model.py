"""The HDF5 file of a fit."""

import numpy as np

from mebold.files.model import open_model, write


def test_arrays_lists_numbers_text_and_none_survive(tmp_path, rng):
    betas = rng.normal(size=(2000, 600)).astype(np.float32)
    regressors = [rng.normal(size=(5, 2)), rng.normal(size=(7, 2))]
    mask = np.zeros((2, 3, 4), bool)
    mask[0, 1] = True
    results = {"betas": betas, "pcs": regressors, "n": 3, "model": "FITHRF", "absent": None}
    write(tmp_path / "new" / "m.h5", results, mask=mask)
    with open_model(tmp_path / "new" / "m.h5") as model:
        assert np.array_equal(model["betas"][10:20], betas[10:20])
        assert model["betas"].chunks[1] == 600  # rows are read together
        assert np.array_equal(model["pcs"]["001"][:], regressors[1])
        assert model["n"][()] == 3
        assert model["model"].asstr()[()] == "FITHRF"
        assert model["absent"].shape is None
        assert np.array_equal(model["mask"][:] > 0, mask)
