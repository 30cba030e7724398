"""Brain masks and tissue classes against the fractions that the phantom's voxels hold."""

import logging
from pathlib import Path

import numpy as np

from mebold.files.images import load, load_mask
from mebold.phantom.recovered import Recovered
from mebold.registration.similarity import dice

_CLASSES = ("GM", "WM", "CSF")  # in the order of their labels from 1

logger = logging.getLogger(__name__)


def tissue(output: Path, truth: Path) -> list[Recovered]:
    """Check brain mask and tissue classes of every subject against the fractions of its voxels."""
    found: dict[str, list[float]] = {}
    for path in sorted(output.glob("anatomical/sub-*/anat/*_dseg.nii.gz")):
        sub = path.parents[1].name
        if "_space-" in path.name:  # the same classes on the grid of the BOLD
            continue
        dseg, affine = load(path)
        mask, _ = load_mask(path.with_name(f"{sub}_desc-brain_mask.nii.gz"))
        known = {
            name: load(truth / sub / f"tissue-{name}.nii.gz")[0]
            for name in (*_CLASSES, "brain", "deep")
        }
        inside = known["brain"] > 0.5
        shares = np.stack([known[name] for name in _CLASSES])
        true = np.where(inside, np.argmax(shares, axis=0) + 1, 0)
        found.setdefault("mask", []).append(dice(mask, inside))
        found.setdefault("deep", []).append(100 * np.mean(dseg[known["deep"] > 0.5] == 2))
        voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
        for label, name in enumerate(_CLASSES, start=1):
            found.setdefault(name, []).append(dice(dseg == label, true == label))
            # Fluid is spread over many voxels that it shares: volumes are sums of shares. Counts of
            # labels are told beside them.
            share = load(path.with_name(f"{sub}_label-{name}_probseg.nii.gz"))[0]
            sums = [voxel_ml * float(x.sum()) for x in (share, known[name][inside])]
            counts = [voxel_ml * np.count_nonzero(x == label) for x in (dseg, true)]
            logger.info(
                "%s %s: %.0f ml found, %.0f ml true; voxels with this label %.0f ml of %.0f ml",
                sub, name, *sums, *counts,
            )  # fmt: skip
            found.setdefault(f"{name} ml", []).append(100 * abs(sums[0] / sums[1] - 1))
    if not found:
        return []
    limits = {"mask": 0.97, "GM": 0.88, "WM": 0.88, "CSF": 0.75}
    names = {"mask": "brain mask", "GM": "grey matter", "WM": "white matter", "CSF": "CSF"}
    rows = [
        Recovered(f"{names[key]}, Dice", min(found[key]), "", limit, at_least=True)
        for key, limit in limits.items()
    ]
    rows += [
        Recovered(f"{names[key]}, error of its volume", max(found[f"{key} ml"]), "%", 5.0)
        for key in _CLASSES
    ]
    return [*rows, Recovered("deep grey matter called white", max(found["deep"]), "%", 20.0)]
