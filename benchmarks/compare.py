"""Measure memory and processor time of the comparison of variants on a synthetic session.

A session as in the reference data: 12 runs of 310 volumes (1 s), 1,080 trials, 770 images of which
310 are shown twice; noise alone, because neither depends on the values. What the scripts
`compare_quality.py` (one variant) and `compare_session.py` (here two variants) hold is measured in
a process of its own each, from memory-mapped series and a model file.

    PYTHONPATH=workflow python benchmarks/compare.py --voxels 100000 --store FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import peak
from glmsingle import N_RUNS, N_VOLUMES, TRIALS_PER_RUN, make_design

from mebold.compare import session
from mebold.compare.quality import of_session

BLOCK = 10_000
# Visual voxels per voxel of the mask: more than visual cortex has.
SHARE = 0.2


def write_store(folder: Path, n_voxels: int) -> None:
    """Write series, betas and a mask with `n_voxels` voxels."""
    rng = np.random.default_rng(1)
    np.save(folder / "design.npy", np.array(make_design(rng)))
    edge = int(np.ceil(n_voxels ** (1 / 3)))
    mask = np.zeros(edge**3, bool)
    mask[:n_voxels] = True
    np.save(folder / "mask.npy", mask.reshape(edge, edge, edge))
    noise = 1000 + 20 * rng.standard_normal((BLOCK, N_VOLUMES), dtype=np.float32)
    betas = rng.standard_normal((BLOCK, N_RUNS * TRIALS_PER_RUN), dtype=np.float32)
    shape = (n_voxels, N_VOLUMES)
    names = [folder / f"run{run}.npy" for run in range(N_RUNS)]
    maps = [np.lib.format.open_memmap(name, "w+", np.float32, shape) for name in names]
    with h5py.File(folder / "model.h5", "w") as file:
        rows = 1_000_000 // betas.shape[1]
        target = file.create_dataset(
            "betas", (n_voxels, betas.shape[1]), np.float32, chunks=(rows, betas.shape[1])
        )
        for start in range(0, n_voxels, BLOCK):
            part = slice(start, min(start + BLOCK, n_voxels))
            for run, series in enumerate(maps):
                series[part] = np.roll(noise, run, axis=1)[: part.stop - start]
            target[part] = betas[: part.stop - start]


def quality(folder: Path) -> None:
    """Do what `compare_quality.py` does."""
    data = [np.load(folder / f"run{run}.npy", mmap_mode="r") for run in range(N_RUNS)]
    mask = np.load(folder / "mask.npy")
    regressors = [design.sum(axis=1) for design in np.load(folder / "design.npy")]
    options = {"tr": 1.0, "correlation_s": 10.0, "voxel_mm": (1.8, 1.8, 1.8)}
    found = of_session(data, regressors, mask, **options)
    np.savez(folder / "quality.npz", **vars(found))


def compare(folder: Path) -> None:
    """Do what `compare_session.py` does, with two equal variants."""
    designs = np.load(folder / "design.npy")
    image = np.concatenate([np.argmax(d[d.any(axis=1)], axis=1) for d in designs])
    trials = pd.DataFrame({"label": image, "run": np.repeat(range(N_RUNS), TRIALS_PER_RUN)})
    found = np.load(folder / "quality.npz")
    n = found["score"].size
    names, runs = ("standardOptcom", "nordicOptcom"), trials["run"].to_numpy()
    with h5py.File(folder / "model.h5") as model:
        betas = dict.fromkeys(names, model["betas"])
        seen = {name: session.voxels_with_data(values, runs) for name, values in betas.items()}
        session.evaluate_variants(
            betas,
            trials=trials,
            quality=dict.fromkeys(names, found),
            summaries={name: {"NoiseComponents": 0} for name in names},
            seen=seen,
            roi=np.arange(n) < SHARE * n,
            brain=np.ones(n, bool),
            threshold=2.0,
            zscore="run",
            n_resamples=1000,
            seed=0,
        )


def main() -> None:
    """Run both measurements and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=100_000)
    parser.add_argument("--store", type=Path, required=True, help="folder, new or of another call")
    parser.add_argument("--step", choices=("quality", "compare"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        start = time.process_time()
        with peak.watch_anonymous() as own:
            {"quality": quality, "compare": compare}[args.step](args.store)
        series = 4e-9 * N_RUNS * N_VOLUMES * np.count_nonzero(np.load(args.store / "mask.npy"))
        found = {
            "step": args.step,
            "cpu_s": round(time.process_time() - start, 1),
            "series_gb": round(series, 2),
            "peak_gb": round(peak.resident_bytes() / 1e9, 2),
            "not_mapped_gb": round(own[0] / 1e9, 2),
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return
    if not (args.store / "model.h5").exists():
        args.store.mkdir(parents=True, exist_ok=True)
        write_store(args.store, args.voxels)
    for step in ("quality", "compare"):
        command = [sys.executable, __file__, "--store", str(args.store), "--step", step]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
