"""Two runs of one seed are equal bit for bit, in two processes, also at seed 0."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import seeded_stages

TESTS = Path(seeded_stages.__file__).parent


@pytest.mark.parametrize("stage", seeded_stages.STAGES)
def test_two_processes_agree(stage, tmp_path):
    search = os.pathsep.join([str(TESTS.parent / "workflow"), str(TESTS)])
    found = []
    for name in ("one.npy", "two.npy"):
        command = [sys.executable, TESTS / "seeded_stages.py", stage, tmp_path / name]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": search}, check=True)
        found.append(np.load(tmp_path / name))
    assert found[0].size
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)
