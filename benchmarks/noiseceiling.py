"""Measure noise ceilings and their null: processor time and memory, with and without.

Betas are made on the fly, block by block, so that only what the ceilings hold counts.

    PYTHONPATH=workflow python benchmarks/noiseceiling.py --voxels 250000
    PYTHONPATH=workflow python benchmarks/noiseceiling.py --voxels 2048 --sessions 33
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import peak

from mebold.noiseceiling import ceilings, maps

RUNS, TRIALS, TWICE = 12, 90, 310


class Betas:
    """Betas (V, N) of noise; the same few rows in every block."""

    def __init__(self, n_voxels: int, n_trials: int, seed: int) -> None:
        self.shape, self.ndim = (n_voxels, n_trials), 2
        self._rows = np.random.default_rng(seed).standard_normal((2048, n_trials), np.float32)

    def __getitem__(self, block: slice) -> np.ndarray:
        """Return a block of voxels."""
        return self._rows[: len(range(*block.indices(self.shape[0])))]


def table_of(session: int, *, shared: int) -> pd.DataFrame:
    """Trials of a session: some images twice in it, some in every session, most once."""
    rng = np.random.default_rng(session)
    n = RUNS * TRIALS
    labels = [f"{session}-{i}" for i in range(n - 2 * TWICE - shared)]
    labels += [f"{session}-twice{i}" for i in range(TWICE)] * 2
    labels += [f"shared{i}" for i in range(shared)]
    stems = [f"ses-{session}_run-{run}" for run in range(RUNS) for _ in range(TRIALS)]
    return pd.DataFrame({"label": rng.permutation(labels), "stem": stems})


def main() -> None:
    """Print one row with and one without the null."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=250_000)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--permutations", type=int, default=100)
    options = parser.parse_args()
    several = options.sessions > 1
    tables = [table_of(s, shared=100 if several else 0) for s in range(options.sessions)]
    betas = [Betas(options.voxels, len(table), s) for s, table in enumerate(tables)]
    selections = maps.session_selections()
    if several:
        selections = maps.subject_selections({"4rep": 4, "12rep": 12})
    chosen = {"selections": selections, "zscore": "session" if several else "run"}
    start = time.process_time()
    ceilings.of_trials(betas, tables, **chosen)
    print(f"ceilings {time.process_time() - start:.1f} CPU s, {peak.resident_bytes() / 1e9:.2f} GB")
    start = time.process_time()
    null = {"permutations": options.permutations, "false_discovery_rate": 0.05, "seed": 0}
    _, chance = ceilings.with_chance(betas, tables, **chosen, **null)
    print(
        f"with null {time.process_time() - start:.1f} CPU s, {peak.resident_bytes() / 1e9:.2f} GB"
    )
    for name, result in chance.items():
        print(
            f"{name}: threshold {result.threshold:.1f} %, {np.mean(result.p < 0.05):.3f} below 0.05"
        )


if __name__ == "__main__":
    main()
