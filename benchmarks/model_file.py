"""Measure the model file of a fit: size, and processor time of writing and of reading.

Betas of 12 runs of 90 trials: noise whose spread and mean differ between voxels as betas in percent
do. Packings other than the one that `mebold.files.model` uses are written for comparison.

    PYTHONPATH=workflow python benchmarks/model_file.py --voxels 20000 --store FOLDER
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import h5py
import numpy as np
import peak

from mebold.files import model

N_TRIALS = 1080
BLOCK = 2048
PACKINGS = {
    "none": {},
    "lzf": {"compression": "lzf", "shuffle": True},
    "gzip 4": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
}


def simulate(n_voxels: int) -> np.ndarray:
    """Return betas (V, N) in percent."""
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.3, 5, (n_voxels, 1)).astype(np.float32)
    centre = rng.uniform(-0.5, 1, (n_voxels, 1)).astype(np.float32)
    return spread * rng.standard_normal((n_voxels, N_TRIALS), dtype=np.float32) + centre


def measured(path: Path, write, size: int) -> dict:
    """Time writing, reading in blocks, one voxel and one trial; all in processor seconds."""
    times, start = {}, time.process_time()
    write()
    times["write_s"] = time.process_time() - start
    rows = np.random.default_rng(1).integers(0, size, 50)
    with h5py.File(path) as file:
        betas = file["betas"]
        for name, parts in (
            ("read_s", [slice(i, i + BLOCK) for i in range(0, size, BLOCK)]),
            ("voxel_s", list(rows)),
        ):
            start = time.process_time()
            for part in parts:
                betas[part]
            times[name] = (time.process_time() - start) / (len(rows) if name == "voxel_s" else 1)
        start = time.process_time()
        betas[:, 5]
        times["trial_s"] = time.process_time() - start
        stored = file["betas"].id.get_storage_size()
    return {name: round(value, 4) for name, value in times.items()} | {"bytes": stored}


def main() -> None:
    """Run the measurements and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=20_000)
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args()
    path, betas = options.store / "model.h5", simulate(options.voxels)
    mask = np.ones((options.voxels, 1, 1), bool)
    before = peak.resident_bytes()
    found = {
        "mebold": measured(path, lambda: model.write(path, {"betas": betas}, mask=mask), len(betas))
    }
    found["mebold"]["peak_beyond_betas_mb"] = round((peak.resident_bytes() - before) / 1e6)
    chunk = (max(1, 250_000 // betas[0].nbytes), N_TRIALS)

    def plain(packing: dict) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("betas", data=betas, chunks=chunk, **packing)

    for name, packing in PACKINGS.items():
        found[name] = measured(path, lambda packing=packing: plain(packing), len(betas))
    for one in found.values():
        one["share"] = round(one.pop("bytes") / betas.nbytes, 3)
    path.unlink()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
