"""The grid of a template at the resolution of the BOLD."""

import numpy as np

from mebold.anat import mni
from mebold.files import images
from mebold.geometry import affines


def of(files: object, voxel_mm: float) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine (4, 4) of a template's field of view in voxels of a given size.

    Parameters
    ----------
    files : object
        Inputs of a job: ``template`` where the template is a file, else that of nilearn is meant.
    voxel_mm : float
        Isotropic.
    """
    if files.get("template"):
        header = images.load_header(files.template)
        return affines.rescaled_grid(header.shape[:3], header.affine, voxel_mm)
    maps, affine = mni.load_template(1.0)
    return affines.rescaled_grid(maps["t1"].shape, affine, voxel_mm)
