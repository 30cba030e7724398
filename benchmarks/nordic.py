"""Measure processor time and memory of NORDIC beside other programs on synthetic data.

A complex series with five components of signal in noise of varying level is made once, volume by
volume, and kept in a folder. Every program then runs in a fresh process. Time is processor
seconds (user and system, all threads) of the denoising call alone, without reading; memory is the
peak resident set of the process, input and interpreter included. The error is that against the
noise-free volumes, inside the head, as a fraction of the error of the input (voxels that a program
leaves undefined are not counted).

    PYTHONPATH=workflow python benchmarks/nordic.py --threads 2
    PYTHONPATH=workflow python benchmarks/nordic.py --shape 90 110 72 --threads 2
    PYTHONPATH=workflow python benchmarks/nordic.py --threads 2 --patch-denoise VENV/bin/python

patch-denoise runs only when its interpreter is named, dwidenoise (MRtrix3) only when installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import peak

SIGMA, PEAK, N_CHECKED = 20.0, 1000.0, 4


def make_series(folder: Path, shape: tuple, n: int) -> None:
    """Write magnitude and phase (phase 0..4095 over a turn) and a few noise-free volumes."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, k) for k in shape), indexing="ij")
    radius = np.sqrt((x / 0.82) ** 2 + (y / 0.9) ** 2 + (z / 1.15) ** 2)
    head = PEAK / (1 + np.exp((radius - 1) * 18)) * (0.7 + 0.2 * np.sin(5 * x * y + 3 * z))
    maps = [np.cos(3 * x + 2 * y * k) * np.sin(2 * z + k) for k in range(5)]
    level = SIGMA * (1 + 0.9 * np.exp(-((x / 0.6) ** 2 + (y / 0.6) ** 2 + (z / 1.3) ** 2)))
    static = np.pi * 1.5 * (0.6 * x * y + 0.5 * z + 0.4 * x)
    checked = np.linspace(0, n - 1, N_CHECKED).astype(int)
    store = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", np.float32, (*shape, n), fortran_order=True
        )
        for name in ("magnitude", "phase")
    }
    clean = []
    for t in range(n):
        change = sum(m * np.sin(0.082 * t * (k + 1) + k) for k, m in enumerate(maps))
        drift = 0.5 * np.sin(0.3 * t) + 0.2 * x * np.sin(0.1 * t)
        volume = head * (1 + 0.03 * change) * np.exp(1j * (static + drift))
        if t in checked:
            clean.append(volume.astype(np.complex64))
        volume = volume + level * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
        store["magnitude"][..., t] = np.rint(np.abs(volume))
        store["phase"][..., t] = np.rint((np.angle(volume) / (2 * np.pi) + 0.5) * 4095)
    np.savez(folder / "truth.npz", volumes=checked, clean=clean, head=radius < 0.9, level=level)


def denoise_mebold(magnitude: np.ndarray, phase: np.ndarray, _folder: Path, threads: int):
    """Run this package: phase, noise map, denoising; give a function of the volume."""
    from mebold.nordic.denoise import nordic

    def call():
        return nordic(magnitude, phase, n_threads=threads)

    return call, lambda result, t: result.magnitude[..., t]


def denoise_with_map(magnitude: np.ndarray, phase: np.ndarray, folder: Path, threads: int):
    """Run this package with the true noise map, which patch-denoise needs."""
    from mebold.nordic.denoise import nordic

    level = np.load(folder / "truth.npz")["level"] * np.sqrt(2)

    def call():
        return nordic(magnitude, phase, gfactor=level, n_threads=threads)

    return call, lambda result, t: result.magnitude[..., t]


def denoise_patch_denoise(magnitude, phase, folder: Path, _threads: int):
    """Run patch-denoise 'nordic' with the true noise map: denoising only."""
    from patch_denoise.denoise import nordic

    data = magnitude * np.exp(1j * (phase / np.float32(4095) - np.float32(0.5)) * 2 * np.pi)
    data = np.ascontiguousarray(data.astype(np.complex64))
    level = np.load(folder / "truth.npz")["level"].astype(np.float32)
    size = round((11 * data.shape[3]) ** (1 / 3))

    def call():
        sizes = (size,) * 3, (size // 2,) * 3
        return nordic(data, *sizes, mask_threshold=-1, noise_std=level, recombination="average")[0]

    return call, lambda result, t: np.abs(result[..., t])


CHILDREN = {
    "mebold": denoise_mebold,
    "mebold, noise map given": denoise_with_map,
    "patch-denoise": denoise_patch_denoise,
}


def cpu_seconds(who: int) -> float:
    """User and system time."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def run_child(name: str, folder: Path, threads: int) -> None:
    """Measure one program in this process and print the numbers as JSON."""
    magnitude, phase = (np.load(folder / f"{part}.npy") for part in ("magnitude", "phase"))
    call, volume = CHILDREN[name](magnitude, phase, folder, threads)
    start, clock = cpu_seconds(resource.RUSAGE_SELF), time.perf_counter()
    result = call()
    record = {
        "cpu_s": cpu_seconds(resource.RUSAGE_SELF) - start,
        "wall_s": time.perf_counter() - clock,
        "peak_gb": peak.resident_bytes() / 1e9,
    }
    with np.load(folder / "truth.npz") as truth:
        head = truth["head"]
        pairs = list(zip(truth["volumes"], truth["clean"], strict=True))
    errors = [(volume(result, t)[head] - np.abs(clean)[head]) ** 2 for t, clean in pairs]
    noisy = [(magnitude[..., t][head] - np.abs(clean)[head]) ** 2 for t, clean in pairs]
    record["error"] = float(np.sqrt(np.nanmean(errors)) / np.sqrt(np.mean(noisy)))
    sys.stdout.write(json.dumps(record) + "\n")


def run_dwidenoise(folder: Path, threads: int) -> dict | None:
    """Run dwidenoise (MP-PCA, 7 x 7 x 7) on one slab of seven slices; scale to all slices."""
    program = shutil.which("dwidenoise")
    if program is None:
        return None
    import nibabel as nib

    magnitude, phase = (
        np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("magnitude", "phase")
    )
    slab = np.s_[:, :, :7]
    angle = (phase[slab] / np.float32(4095) - np.float32(0.5)) * 2 * np.pi
    data = (magnitude[slab] * np.exp(1j * angle)).astype(np.complex64)
    nib.save(nib.Nifti1Image(data, np.eye(4)), folder / "slab.nii")
    before, clock = cpu_seconds(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [program, "-force", "-nthreads", str(threads), "-datatype", "float32"]
    subprocess.run([*words, folder / "slab.nii", folder / "out.nii"], check=True)
    factor = magnitude.shape[2] / 7
    return {
        "cpu_s": (cpu_seconds(resource.RUSAGE_CHILDREN) - before) * factor,
        "wall_s": (time.perf_counter() - clock) * factor,
    }


def start_child(name: str, python: str, folder: Path, threads: int) -> dict:
    """Measure one program in a fresh process."""
    words = [python, __file__, "--child", name, "--store", str(folder), "--threads", str(threads)]
    # More threads in the linear algebra only cost time with matrices as small as these.
    limits = {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | limits
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Make the data, run the programs, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(90, 110, 24))
    parser.add_argument("--volumes", type=int, default=160)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--store", type=Path, help="folder for the data (kept)")
    parser.add_argument("--patch-denoise", metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(options.child, options.store, options.threads)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.store or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "truth.npz").exists():
            make_series(folder, tuple(options.shape), options.volumes)
        load = os.getloadavg()[0]
        found = {
            name: start_child(name, sys.executable, folder, options.threads)
            for name in CHILDREN
            if name != "patch-denoise"
        }
        if options.patch_denoise:
            found["patch-denoise"] = start_child(
                "patch-denoise", options.patch_denoise, folder, options.threads
            )
        found["dwidenoise"] = run_dwidenoise(folder, options.threads)
    size = 8 * np.prod(options.shape) * options.volumes / 1e9
    print(f"{options.shape} x {options.volumes}, complex64 {size:.2f} GB, load before {load:.1f}")
    for name, record in found.items():
        if record:
            cells = "  ".join(f"{key} {value:.2f}" for key, value in record.items())
            print(f"{name:24s} {cells}")


if __name__ == "__main__":
    main()
