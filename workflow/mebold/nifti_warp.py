"""Displacement fields as NIfTI files, in the two forms that say themselves how to be read."""

from pathlib import Path

import nibabel as nib
import numpy as np

from mebold import nifti
from mebold.errors import DataError

#: Intent codes of the NIfTI standard: vectors as ITK stores them (LPS+), displacements (RAS+).
_VECTOR, _DISPLACEMENT = 1007, 1006
_TO_RAS = {_VECTOR: np.array([-1.0, -1.0, 1.0], np.float32), _DISPLACEMENT: np.ones(3, np.float32)}
_ACCEPTED = (
    "Accepted are a displacement field of ITK or ANTs (shape (x, y, z, 1, 3), intent code 1007, mm "
    "in LPS+) and a NIfTI displacement field (shape (x, y, z, 3) or (x, y, z, 1, 3), intent code "
    "1006, mm in RAS+)"
)


def check(path: str | Path) -> int:
    """Return the intent code of a displacement field; raise where the header is none of one.

    Raises
    ------
    DataError
        When the file is no image, or says neither of the two forms.
    """
    image = nifti.load_header(path)
    shape = tuple(image.shape)
    intent = int(image.header["intent_code"]) if isinstance(image, nib.Nifti1Image) else None
    wanted = {_VECTOR: (5,), _DISPLACEMENT: (4, 5)}.get(intent, ())
    if len(shape) in wanted and shape[-1] == 3 and shape[3:-1] in ((), (1,)):
        return intent
    kind = "no NIfTI file" if intent is None else f"intent code {intent}"
    message = (
        f"{path} is no displacement field that can be read without guessing (shape {shape}, "
        f"{kind}). {_ACCEPTED}; the vector at a point of the corrected space leads to the point "
        "where the scanner put it. Convert the file, or have its program write one of these."
    )
    raise DataError(message)


def load(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a displacement field.

    Parameters
    ----------
    path : path-like
        Of the forms that `check` accepts.

    Returns
    -------
    warp_mm : (x, y, z, 3) float32 array
        Displacements in mm, RAS+.
    affine : (4, 4) float64 array
        Voxel to world, RAS+ mm.

    Raises
    ------
    DataError
        When the file is not of an accepted form, or holds values that are not finite.
    """
    intent = check(path)
    data, affine = nifti.load(path)
    warp = data.reshape(*data.shape[:3], 3) * _TO_RAS[intent]
    bad = int((~np.isfinite(warp)).any(axis=3).sum())
    if bad:
        message = (
            f"{path}: the displacements of {bad} of {warp[..., 0].size} voxels are not finite. "
            "Every voxel needs three numbers in mm; a point without a displacement has zeros."
        )
        raise DataError(message)
    return warp, affine


def save(
    path: str | Path, warp_mm: np.ndarray, affine: np.ndarray, *, metadata: dict | None = None
) -> None:
    """Write a displacement field as ITK and ANTs do, so that `antsApplyTransforms` reads it.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    warp_mm : (x, y, z, 3) array
        Displacements in mm, RAS+.
    affine : (4, 4) array
        Voxel to world, RAS+ mm.
    metadata : dict, optional
        Written as ``.json`` beside the image.
    """
    data = (np.asarray(warp_mm, np.float32) * _TO_RAS[_VECTOR])[:, :, :, np.newaxis]
    nifti.save(path, data, affine, intent=_VECTOR, metadata=metadata)
