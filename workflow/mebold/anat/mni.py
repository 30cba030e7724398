"""The MNI152 template that comes inside the nilearn package: T1w, grey and white matter."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import ndimage

from mebold.errors import DataError
from mebold.files import images
from mebold.geometry import grids, masks

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


def bundled(what: str) -> Path:
    """Return the folder of the data that come inside the nilearn package.

    Parameters
    ----------
    what : str
        For the message: what is looked for.

    Raises
    ------
    DataError
        When nilearn is not installed.
    """
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        message = f"{what} is read from the nilearn package, which is not installed."
        raise DataError(message)
    return Path(spec.origin).parent / "datasets" / "data"


@lru_cache(maxsize=4)
def load_template(voxel_mm: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Read the template at a voxel size.

    Parameters
    ----------
    voxel_mm : float
        1 or more.

    Returns
    -------
    maps : dict of (x, y, z) float32 array
        ``t1`` (0..1), ``gm``, ``wm`` and ``brain`` as fractions 0..1. The head outside the brain
        is not part of the template. Do not modify them: they are shared between calls.
    affine : (4, 4) float64 array
        Voxel to MNI152 world, mm.

    Raises
    ------
    DataError
        When nilearn is not installed.

    References
    ----------
    ICBM 2009a nonlinear symmetric; Fonov et al. 2011, NeuroImage 54:313. Licence beside the files.
    """
    folder = bundled("the MNI152 template")
    maps = {}
    for name in ("t1", "gm", "wm"):
        data, affine = images.load(folder / _FILE.format(name))
        maps[name] = data / np.float32(255.0)
    maps["brain"] = ndimage.binary_fill_holes(
        masks.largest_component(ndimage.binary_opening(maps["t1"] > 0.02))
    ).astype(np.float32)
    coarse = {name: grids.coarsen(data, affine, voxel_mm=voxel_mm) for name, data in maps.items()}
    for data, _ in coarse.values():
        data.flags.writeable = False
    return {name: data for name, (data, _) in coarse.items()}, coarse["t1"][1]
