"""Measure how often predictivity and noise ceiling order variants as the truth does.

The families of `tests/variant_families.py` are simulated series with known responses: noise that is
removed, NORDIC-like denoising where responses are weak or strong, smoothing, leakage, and none at
all. Printed per family: the mean of truth, predictivity of single trials and of averaged repeats,
and noise ceiling of every variant; the share of sessions in which each measure orders all variants
as the truth does (each session a subject of its own); and how often 95 % intervals hold the mean
over sessions of one subject.

    PYTHONPATH=workflow:tests python benchmarks/predictivity.py --sessions 60
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import variant_families as families

from mebold.compare.metrics import envelope
from mebold.compare.predictivity import NAMES, Predictivity, Reference, partners
from mebold.noiseceiling import ceilings
from mebold.noiseceiling.bootstrap import draw_resamples, interval
from mebold.noiseceiling.cells import repeat_cells

COLUMNS = ("truth", *NAMES, "ceiling", "ceiling, different runs")
N_RESAMPLES = 200


def measure(
    name: str, seed: int, subject: int | None = None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the variants, their measures (variant, column) and resamples (variant, method, B)."""
    one, variants = families.family(name, seed, subject)
    draws = draw_resamples(repeat_cells(one.labels, one.runs), n_resamples=N_RESAMPLES, seed=seed)
    betas = {variant: one.betas(series) for variant, series in variants.items()}
    found = partners(one.labels, one.runs)
    reference = Reference([betas["standardOptcom"][one.roi]], one.runs, found)
    rows, samples = [], []
    for values in betas.values():
        own = Predictivity(reference, one.roi.sum())
        own.add(values[one.roi])
        z = ceilings.zscore_betas(values[one.roi], one.runs)
        pairs = {"runs": one.runs, "different_runs_only": True}
        nc = [ceilings.noise_ceiling(z, one.labels, **options).nc for options in ({}, pairs)]
        rows.append((one.correlation(values), *own.values().values(), *np.median(nc, axis=1)))
        resampled = own.samples(draws)
        samples.append([resampled[method][NAMES[0]] for method in ("images", "runs")])
    return list(betas), np.array(rows), np.array(samples)


def in_order(rows: np.ndarray, column: int) -> bool:
    """Tell whether a measure orders all variants as the truth does; ties of the truth pass."""
    first, second = np.triu_indices(len(rows), 1)
    apart = rows[first] - rows[second]
    apart = apart[np.abs(apart[:, 0]) > families.TIE]
    return bool((apart[:, 0] * apart[:, column] > 0).all())


def covered(values: np.ndarray, samples: np.ndarray) -> float:
    """Return how often the wider interval holds the mean: values (S,), samples (S, method, B)."""
    limits = [
        envelope([interval(value, method) for method in own])
        for value, own in zip(values, samples, strict=True)
    ]
    return float(np.mean([low <= values.mean() <= high for low, high in limits]))


def main() -> None:
    """Simulate the sessions of every family and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--families", nargs="*", default=[*families.NAMES, "steady", "null"])
    args = parser.parse_args()
    for name in args.families:
        seeds = range(1000, 1000 + args.sessions)
        rows = np.array([measure(name, seed)[1] for seed in seeds])
        # What intervals are about: other images and other noise, the same voxels.
        found = [measure(name, seed, subject=0) for seed in seeds]
        same = np.array([rows for _, rows, _ in found])
        samples = np.array([samples for *_, samples in found])
        lines = [f"{name}: {', '.join(COLUMNS)}"]
        for i, variant in enumerate(found[0][0]):
            means = " ".join(f"{value:8.3f}" for value in rows[:, i].mean(0))
            own = covered(same[:, i, 1], samples[:, i])
            lines.append(f"  {variant:16s}{means}   interval holds the mean: {own:.2f}")
            if i:
                difference = same[:, i, 1] - same[:, 0, 1]
                share = covered(difference, samples[:, i] - samples[:, 0])
                lines[-1] += f", of the difference: {share:.2f}"
        shares = [np.mean([in_order(r, k) for r in rows]) for k in range(1, len(COLUMNS))]
        words = ", ".join(f"{c} {s:.2f}" for c, s in zip(COLUMNS[1:], shares, strict=True))
        sys.stdout.write("\n".join([*lines, f"  in the order of the truth: {words}", ""]))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
