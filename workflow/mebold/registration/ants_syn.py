"""Symmetric diffeomorphic registration (SyN) by ANTs: its displacement fields."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mebold.registration.ants import (
    joined,
    load_ants,
    matrix_to_file,
    seed_arguments,
    to_ants,
)

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0], np.float32)

Volume = tuple[np.ndarray, np.ndarray]


def register_syn(
    fixed: Volume,
    moving: Volume,
    *,
    initial: np.ndarray,
    fixed_mask: np.ndarray,
    iterations: Sequence[int],
    radius: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Register two volumes of one contrast from an affine start.

    Parameters
    ----------
    fixed, moving : (volume (x, y, z), affine (4, 4))
        Grids may differ.
    initial : (4, 4) array
        Point map M from fixed to moving, RAS+ mm.
    fixed_mask : (x, y, z) bool array
        Voxels of `fixed` that the metric reads.
    iterations : sequence of int
        Largest number of steps per level, coarse to fine; every level doubles the resolution.
    radius : int
        Of the window of the local correlation, voxels.
    seed : int

    Returns
    -------
    warp, inverse : (x, y, z, 3) float32 array
        Displacements u and v in mm, RAS+, on the grid of `fixed`. A point x of `fixed` lies at
        ``M (x + u(x))`` in `moving`; a point y of `moving` at ``z + v(z)``, z = inv(M) y.

    References
    ----------
    Avants et al. 2008, Medical Image Analysis 12:26, as in antspyx 0.6.3.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = {"fixed_mask": fixed_mask, "iterations": iterations, "radius": radius}
        _syn(Path(folder), fixed, moving, initial=initial, seed=seed, **options)
        fields = [
            load_ants().image_read(str(Path(folder) / f"out1{name}.nii.gz"))
            for name in ("Warp", "InverseWarp")
        ]
        warp, inverse = (np.asarray(f.numpy(), np.float32) * _LPS_TO_RAS for f in fields)
        return warp, inverse


def _syn(
    folder: Path,
    fixed: Volume,
    moving: Volume,
    *,
    initial: np.ndarray,
    fixed_mask: np.ndarray,
    iterations: Sequence[int],
    radius: int,
    seed: int,
) -> None:
    """Write the displacement fields ``out1Warp`` and ``out1InverseWarp``."""
    ants = load_ants()
    from ants.internal import get_pointer_string

    images = [to_ants(*fixed), to_ants(*moving)]
    mask = to_ants(fixed_mask, fixed[1]) != 0
    names = [get_pointer_string(image) for image in images]
    levels = range(len(iterations) - 1, -1, -1)
    start = folder / "start.mat"
    matrix_to_file(start, initial)
    arguments = ["--dimensionality", "3", "--float", "1", *seed_arguments(seed)]
    arguments += ["--output", str(folder / "out")]
    arguments += ["--initial-moving-transform", f"[{start},0]"]
    arguments += ["--collapse-output-transforms", "0", "--transform", "SyN[0.2,3,0]"]
    arguments += ["--metric", f"CC[{names[0]},{names[1]},1,{radius}]"]
    arguments += ["--convergence", f"[{joined(iterations)},1e-6,8]"]
    arguments += ["--shrink-factors", joined([2**level for level in levels])]
    arguments += ["--smoothing-sigmas", joined(levels) + "vox"]
    arguments += ["--masks", f"[{get_pointer_string(mask)},NA]"]
    ants.registration(arguments, None)
