"""Measure processor time and memory of the single-trial fit on synthetic sessions.

One session as in the reference data: 12 runs of 310 volumes (1 s), 1,080 trials, 770 images of
which 310 are shown twice. Time is processor seconds of the fit alone (user and system, all
threads); memory is the peak resident set of the process, synthesis included.

    PYTHONPATH=workflow python benchmarks/glmsingle.py --voxels 2000
    PYTHONPATH=workflow python benchmarks/glmsingle.py --voxels 250000 --threads 2 --store FOLDER

With ``--store`` the series are written to FOLDER first (3.7 GB for 250,000 voxels, kept for the
next call) and read from there as memory maps by a fresh process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peak

from mebold.singletrial import hrf
from mebold.singletrial.fit import fit_glmsingle

N_RUNS, N_VOLUMES, TR, STIMDUR = 12, 310, 1.0, 2.5
TRIALS_PER_RUN, N_IMAGES, N_REPEATED = 90, 770, 310
BLOCK = 10_000


def make_design(rng: np.random.Generator) -> list[np.ndarray]:
    """Return onset matrices: a trial every 3 s with blank gaps, from 12 s on."""
    images = rng.permutation(np.r_[np.arange(N_IMAGES), np.arange(N_REPEATED)])
    runs = images.reshape(N_RUNS, TRIALS_PER_RUN)
    while True:
        # Swap images that occur twice in a run with a random trial until none does.
        order = np.argsort(runs, axis=1, kind="stable")
        ordered = np.take_along_axis(runs, order, axis=1)
        run, place = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
        if run.size == 0:
            break
        twice = run[0], order[run[0], place[0]]
        other = rng.integers(N_RUNS), rng.integers(TRIALS_PER_RUN)
        runs[twice], runs[other] = runs[other], runs[twice]
    design = []
    for run in runs:
        slots = 12 + 3 * np.sort(rng.choice(96, TRIALS_PER_RUN, replace=False))
        matrix = np.zeros((N_VOLUMES, N_IMAGES), np.float32)
        matrix[slots, run] = 1
        design.append(matrix)
    return design


def make_series(rng: np.random.Generator, design: list[np.ndarray], n: int) -> list[np.ndarray]:
    """Return the runs of `n` voxels: a third respond, all share noise, drift and white noise."""
    shapes = hrf.library(TR, STIMDUR)
    shape = rng.integers(0, shapes.shape[1], n)
    gain = np.where(rng.random(n) < 1 / 3, rng.uniform(3, 20, n), 0)[:, None]
    tuning = (1 + 0.8 * rng.standard_normal((n, N_IMAGES))).astype(np.float32)
    mean = rng.uniform(600, 1400, (n, 1))
    load = rng.standard_normal((n, 4)) * [7, 5, 4, 3]
    runs = []
    for matrix in design:
        common = np.cumsum(rng.standard_normal((4, N_VOLUMES)), axis=1) / 5
        series = load @ common + 9 * rng.standard_normal((n, N_VOLUMES)) + mean
        series += 10 * rng.standard_normal((n, 1)) * np.linspace(-1, 1, N_VOLUMES)
        impulses = gain * (tuning @ matrix.T)
        spectrum = np.fft.rfft(impulses, 2 * N_VOLUMES) * np.fft.rfft(
            shapes.T[shape], 2 * N_VOLUMES
        )
        runs.append((series + np.fft.irfft(spectrum)[:, :N_VOLUMES]).astype(np.float32))
    return runs


def write_store(folder: Path, n_voxels: int) -> None:
    """Write a session to `folder`: one block of voxels, repeated with new noise on top."""
    rng = np.random.default_rng(1)
    design = make_design(rng)
    series = make_series(rng, design, min(BLOCK, n_voxels))
    np.save(folder / "design.npy", np.array(design))
    names = [folder / f"run{run}.npy" for run in range(N_RUNS)]
    shape = (n_voxels, N_VOLUMES)
    maps = [np.lib.format.open_memmap(name, "w+", np.float32, shape) for name in names]
    for start in range(0, n_voxels, BLOCK):
        count = min(BLOCK, n_voxels - start)
        for target, run in zip(maps, series, strict=True):
            noise = rng.standard_normal((count, N_VOLUMES), dtype=np.float32)
            target[start : start + count] = run[:count] + 3 * noise


def open_store(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return memory maps and design of a stored session."""
    data = [np.load(folder / f"run{run}.npy", mmap_mode="r") for run in range(N_RUNS)]
    return data, list(np.load(folder / "design.npy"))


def measure(data: list[np.ndarray], design: list[np.ndarray], n_threads: int) -> dict:
    """Fit once and return what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    fit = fit_glmsingle(data, design, tr=TR, stimdur=STIMDUR, n_threads=n_threads)
    return {
        "voxels": len(fit.r2),
        "threads": n_threads,
        "cpu_s": round(time.process_time() - cpu, 2),
        "wall_s": round(time.perf_counter() - wall, 2),
        "peak_gib": round(peak.resident_bytes() / 2**30, 2),
        "components": fit.pc_num,
        "betas_finite": bool(np.isfinite(fit.betas).all()),
    }


def main() -> None:
    """Run one measurement and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", type=Path, help="folder for memory-mapped series")
    parser.add_argument("--fit-only", action="store_true", help="the store exists: only fit")
    options = parser.parse_args()
    if options.store is None:
        rng = np.random.default_rng(1)
        design = make_design(rng)
        data = make_series(rng, design, options.voxels)
        print(json.dumps(measure(data, design, options.threads)))
    elif options.fit_only:
        print(json.dumps(measure(*open_store(options.store), options.threads)))
    else:
        options.store.mkdir(parents=True, exist_ok=True)
        if not (options.store / "design.npy").exists():
            write_store(options.store, options.voxels)
        subprocess.run([sys.executable, *sys.argv, "--fit-only"], check=True)


if __name__ == "__main__":
    main()
