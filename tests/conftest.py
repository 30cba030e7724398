"""Fixtures shared by all tests: a seeded generator and the optional real data."""

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng():
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def real_data():
    """Return the folder of real data sets; skip, by name, where it is absent."""
    folder = Path(os.environ.get("MEBOLD_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found: set MEBOLD_TEST_DATA (looked in {folder})")
    return folder
