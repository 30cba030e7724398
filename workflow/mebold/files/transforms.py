"""Transforms in and out: rigid ones as ITK text, displacement fields as NIfTI.

Displacement fields come in two forms, each of which says itself how it is to be read.
"""

from pathlib import Path

import nibabel as nib
import numpy as np

from mebold.errors import DataError
from mebold.files import images
from mebold.files.atomic import atomic
from mebold.geometry import affines

#: Intent codes of the NIfTI standard: vectors as ITK stores them (LPS+), displacements (RAS+).
_VECTOR, _DISPLACEMENT = 1007, 1006
_TO_RAS = {_VECTOR: np.array([-1.0, -1.0, 1.0], np.float32), _DISPLACEMENT: np.ones(3, np.float32)}
_ACCEPTED = (
    "Accepted are a displacement field of ITK or ANTs (shape (x, y, z, 1, 3), intent code 1007, mm "
    "in LPS+) and a NIfTI displacement field (shape (x, y, z, 3) or (x, y, z, 1, 3), intent code "
    "1006, mm in RAS+)"
)


def check_displacement(path: str | Path) -> int:
    """Return the intent code of a displacement field; raise where the header is none of one.

    Raises
    ------
    DataError
        When the file is no image, or says neither of the two forms.
    """
    image = images.load_header(path)
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


def load_displacement(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
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
    intent = check_displacement(path)
    data, affine = images.load(path)
    warp = data.reshape(*data.shape[:3], 3) * _TO_RAS[intent]
    bad = int((~np.isfinite(warp)).any(axis=3).sum())
    if bad:
        message = (
            f"{path}: the displacements of {bad} of {warp[..., 0].size} voxels are not finite. "
            "Every voxel needs three numbers in mm; a point without a displacement has zeros."
        )
        raise DataError(message)
    return warp, affine


def save_displacement(
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
    images.save(path, data, affine, intent=_VECTOR, metadata=metadata)


def save_xfm(path: str | Path, matrix: np.ndarray) -> None:
    """Write one or a series of transforms as an ITK text file.

    Parameters
    ----------
    path : path-like
    matrix : (4, 4) or (t, 4, 4) array
        Point maps reference -> moving, RAS+ mm. ITK stores the same map in LPS+, and its tools
        apply it to resample the moving image onto the reference.
    """
    matrices = np.atleast_3d(np.asarray(matrix, dtype=np.float64).T).T.reshape(-1, 4, 4)
    lines = ["#Insight Transform File V1.0"]
    for index, ras in enumerate(matrices):
        lps = affines.ras_to_lps(ras)
        values = np.concatenate([lps[:3, :3].ravel(), lps[:3, 3]])
        lines += [
            f"#Transform {index}",
            "Transform: AffineTransform_double_3_3",
            "Parameters: " + " ".join(f"{value:.17g}" for value in values),
            "FixedParameters: 0 0 0",
            "",
        ]
    with atomic(path) as partial:
        partial.write_text("\n".join(lines))


def load_xfm(path: str | Path) -> np.ndarray:
    """Read what `save_xfm` wrote: (t, 4, 4), or (4, 4) when the file holds one transform."""
    matrices = []
    for line in Path(path).read_text().splitlines():
        if line.startswith("Parameters:"):
            values = np.array(line.split()[1:], dtype=np.float64)
            lps = np.eye(4)
            lps[:3, :3] = values[:9].reshape(3, 3)
            lps[:3, 3] = values[9:]
            matrices.append(affines.ras_to_lps(lps))
    if not matrices:
        message = f"{path} holds no ITK transform."
        raise DataError(message)
    return matrices[0] if len(matrices) == 1 else np.stack(matrices)
