"""Tissue classes in and out: labels in the order of the BIDS table of tissues, and that table."""

from pathlib import Path

import numpy as np
import pandas as pd

from mebold.files import images, tables

#: Index in a ``dseg`` -> name and abbreviation, as BIDS has them.
LABELS = {
    1: ("Gray Matter", "GM"),
    2: ("White Matter", "WM"),
    3: ("Cerebrospinal Fluid", "CSF"),
}


def save(path: str | Path, dseg: np.ndarray, affine: np.ndarray, *, metadata: dict) -> None:
    """Write tissue classes as ``dseg.nii.gz``, with its sidecar and its table of labels.

    Parameters
    ----------
    path : path-like
    dseg : (x, y, z) array
        See `LABELS`; 0 elsewhere.
    affine : (4, 4) array
    metadata : dict
    """
    names = {str(index): short for index, (_, short) in LABELS.items()}
    images.save(path, dseg, affine, dtype="uint8", metadata=metadata | {"LabelMap": names})
    rows = [(index, *both) for index, both in LABELS.items()]
    table = pd.DataFrame(rows, columns=["index", "name", "abbreviation"])
    tables.write_tsv(tables.sidecar(path).with_suffix(".tsv"), table)
