"""A process that compiles the kernels and one that finds them in the cache give equal numbers."""

import os
import subprocess
import sys
from pathlib import Path

from mebold.geometry import jit

COMPARE = """
import numpy as np
from mebold.geometry import bspline, bspline_sampling
rng = np.random.default_rng(0)
volume = rng.normal(size=(20, 22, 18)).astype(np.float32)
coefficients = bspline.coefficients(volume, fwhm_voxels=(1.4, 1.4, 1.4))
points = rng.uniform(4, 12, size=(3, 5000)).astype(np.float32)
values, slopes = (rng.normal(size=s).astype(np.float32) for s in (5000, (6, 5000)))
inside, gradient, sums = np.empty(5000, bool), np.empty(16), np.empty(6)
gain = np.eye(1, 10, dtype=np.float32)[0]
matrix = np.eye(3, 4, dtype=np.float32)
bspline_sampling.compare(
    coefficients, points, slopes, values, matrix, gain, 1.0, inside, gradient, sums
)
hits = bspline_sampling.compare.stats.cache_hits
print(sum(hits.values()), coefficients.tobytes().hex(), gradient.tolist(), sums.tolist())
"""


def test_numbers_do_not_depend_on_the_cache(tmp_path):
    library = str(Path(jit.__file__).parents[2])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": library}
    said = [
        subprocess.run(
            [sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert [one.split()[0] for one in said] == ["0", "1"]  # compiled, then found
    assert said[0].split(maxsplit=1)[1] == said[1].split(maxsplit=1)[1]
