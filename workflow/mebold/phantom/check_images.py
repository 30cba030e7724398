"""T1 of an MP2RAGE, T2* and field of a multi-echo GRE, against the truth of the phantom."""

from pathlib import Path

import numpy as np

from mebold.files.images import load
from mebold.phantom.recovered import Recovered


def images(output: Path, truth: Path) -> list[Recovered]:
    """Check what the other anatomical images gave; nothing where the phantom has none."""
    errors: dict[str, list[float]] = {}
    for path in sorted(truth.glob("sub-*/megre.npz")):
        folder = output / "anatomical" / path.parent.name
        with np.load(path) as stored:
            known = dict(stored)
        for found in sorted(folder.glob("ses-*/anat/*_T2starmap.nii.gz")):
            t2star = load(found)[0]
            pure = known["pure"] & (t2star > 0)
            off = np.median(t2star[pure] / known["t2star_s"][pure]) - 1
            errors.setdefault("t2star", []).append(100 * abs(off))
        for found in sorted(folder.glob("ses-*/fmap/*_fieldmap.nii.gz")):
            off = (load(found)[0] - known["field_hz"])[known["brain"] > 0.9]
            errors.setdefault("field", []).append(float(np.sqrt(np.mean(off**2))))
    for path in sorted(truth.glob("sub-*/mp2rage.npz")):
        sub = path.parent.name
        found = output / "anatomical" / sub / "anat" / f"{sub}_T1map.nii.gz"
        if found.exists():
            with np.load(path) as known:
                t1_s, near = known["t1_s"], np.abs(known["transmit"] - 1) < 0.05
            tissue = near & (t1_s > 1.0) & (t1_s < 2.5)
            off = np.median(load(found)[0][tissue] / t1_s[tissue]) - 1
            errors.setdefault("t1", []).append(100 * abs(off))
    rows = (
        ("t2star", "T2* of the multi-echo GRE, error of the median", "%", 3.0),
        ("field", "B0 of the multi-echo GRE, rms error", "Hz", 1.0),
        ("t1", "T1 of the MP2RAGE where B1+ is nominal, error of the median", "%", 5.0),
    )
    return [
        Recovered(name, max(errors[k]), unit, top) for k, name, unit, top in rows if k in errors
    ]
