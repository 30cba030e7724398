"""What NORDIC keeps of a response: predicted from threshold, noise map and patches, and measured.

Runs with known responses (`tests/responding_head.py`) are denoised with and without the response;
measured is the slope of the change on the truth in the responding voxels. Amplitudes run from what
is lost to what is kept whole. One row per condition, correlations over its amplitudes.

    PYTHONPATH=workflow:tests python benchmarks/survival.py
"""

from __future__ import annotations

import argparse

import numpy as np
import responding_head
from denoised_head import denoised, patches_of

from mebold.nordic import survival
from mebold.nordic.patches import spread

#: Amplitudes in units of that of which half is predicted to survive.
RELATIVE = (0.2, 0.5, 0.8, 1.0, 1.3, 2.0, 4.0)
CONDITIONS = {
    "120 volumes, SNR 40, 15 % respond": {},
    "the same, magnitude only": {"with_phase": False},
    "96 volumes": {"n": 96},
    "96 volumes, magnitude only": {"n": 96, "with_phase": False},
    "200 volumes": {"n": 200},
    "300 volumes": {"n": 300},
    "SNR 15": {"snr": 15},
    "SNR 15, magnitude only": {"snr": 15, "with_phase": False},
    "SNR 100": {"snr": 100},
    "5 % respond": {"share": 0.05},
    "40 % respond": {"share": 0.4},
    "15 % respond, in one ball": {"blob": True},
    "patch 7 x 7 x 7": {"kernel_size": (7, 7, 7)},
    "patch 15 x 15 x 15": {"kernel_size": (15, 15, 15)},
    "drifts, breathing, heart beat": {"structure": True},
    "the same, and own fluctuations of 1 %": {"structure": True, "own_fluctuation": 0.01},
    "all of it, magnitude only": {
        "structure": True, "own_fluctuation": 0.01, "with_phase": False,
    },
    "noise correlated in plane (0.4 voxels)": {"noise_spread": 0.4},
    "noise correlated in plane (0.6 voxels)": {"noise_spread": 0.6},
    "trials every 8 s": {"every_s": 8.0},
    "differences along one dimension": {"dimensions": 1},
    "the same, magnitude only, 200 volumes": {"dimensions": 1, "with_phase": False, "n": 200},
}  # fmt: skip


def _kept_as(kind: str, options: dict) -> str:
    """Return the kind of the prediction."""
    return "dimension" if kind == "images" and "dimensions" in options else kind


def measure(kind: str, options: dict) -> tuple[float, np.ndarray]:
    """Return the weakest response (percent), and predicted, own and measured shares kept."""
    options = dict(options)
    kernel = options.pop("kernel_size", None)
    quiet = responding_head.make(percent=0.0, **options)
    without = denoised(quiet, kernel)
    design = survival.design_energy(quiet.regressors)
    weakest = patches_of(quiet, without, quiet.responding).weakest(
        design, kind=_kept_as(kind, options), kept=0.5
    )
    half = float(np.median(weakest[quiet.responding]))
    rows = []
    for relative in RELATIVE:
        amplitude = relative * half
        name = "percent" if kind == "shared" else "images_percent"
        run = responding_head.make(**{"percent": 0.0, name: amplitude} | options)
        result = denoised(run, kernel)
        patches = patches_of(run, result, run.responding)
        kept_as = _kept_as(kind, options)
        if kept_as == "dimension":
            amplitude = responding_head.realised_sd(run, design.images.sum())
        own = getattr(patches, f"{kept_as}_kept")(amplitude, design)
        ways = [own, 1 - result.components_removed / run.magnitude.shape[3]]
        if kind == "shared":
            ways.append(spread(patches.responding, patches.axes))
        predicted = survival.together(*ways)[run.responding].mean()
        change = (result.magnitude - without.magnitude)[run.responding]
        measured = responding_head.share_of(getattr(run, kind), change)
        rows.append((predicted, own[run.responding].mean(), measured))
    return half, np.array(rows)


def main() -> None:
    """Print a row per condition and kind, and the correlation over all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="conditions whose name holds this text")
    chosen = parser.parse_args().only or ""
    amplitudes = " ".join(f"{r:g}" for r in RELATIVE)
    print(
        f"| condition | kind | half survives at | r | predicted / measured at {amplitudes} times |"
    )
    print("| --- | --- | ---: | ---: | --- |")
    everything = []
    for name, options in CONDITIONS.items():
        if chosen not in name:
            continue
        for kind in ("images",) if "dimensions" in options else ("shared", "images"):
            half, rows = measure(kind, options)
            everything.append(rows)
            r = np.corrcoef(rows[:, 0], rows[:, 2])[0, 1]
            cells = ", ".join(f"{p:.2f} / {m:.2f}" for p, _, m in rows)
            print(f"| {name} | {kind} | {half:.2g} % | {r:.3f} | {cells} |", flush=True)
    joined = np.concatenate(everything)
    r, own = (np.corrcoef(joined[:, i], joined[:, 2])[0, 1] for i in (0, 1))
    off = np.abs(joined[:, 0] - joined[:, 2]).mean()
    print(
        f"\nAll: r = {r:.3f}, mean difference {off:.3f}; of what survives by itself r = {own:.3f}"
    )


if __name__ == "__main__":
    main()
