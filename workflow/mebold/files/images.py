"""NIfTI images in and out: volumes, masks, series, and the sidecar beside each."""

import contextlib
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib

from mebold.errors import DataError
from mebold.files.atomic import atomic
from mebold.files.tables import sidecar, write_json

_AT_ONCE = 1 << 20  # bytes
#: More is no measurement: a series of 0.5 mm voxels for half an hour has 3e10 values.
_MOST_VALUES = 10**11
# Deflate makes data 1032 times smaller at best. Masks and label maps come to 500; images of more
# than a gigabyte, which are series, stay below 100 even with a background of zeros.
_BEST_RATIO, _USUAL_RATIO, _LARGE_BYTES = 1100, 250, 2**30
#: What damaged files make the readers of images raise.
UNREADABLE = (
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.spatialimages.HeaderTypeError,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    isal_zlib.error,
    zlib.error,
)
_GZIP_LEVEL = 2  # of 3: as small as zlib's level 1, in a tenth of its time


def load_header(
    path: str | Path, *, without_voxels: bool = False
) -> nib.spatialimages.SpatialImage:
    """Open an image without reading its voxels.

    Parameters
    ----------
    path : path-like
    without_voxels : bool
        Accept a file that ends with its header, as copies of a dataset's structure have: enough to
        plan with, and refused when its voxels are needed.

    Raises
    ------
    DataError
        When the file is absent, empty or not an image.
    """
    path = Path(path)
    if not path.exists():
        message = f"{path} does not exist (or is a link whose target was not fetched)."
        raise DataError(message)
    if path.stat().st_size == 0:
        message = (
            f"{path} is empty (0 bytes): fetch the image content "
            "(for a DataLad or OpenNeuro copy: `datalad get`), or leave the file out."
        )
        raise DataError(message)
    try:
        image = nib.load(path)
    except UNREADABLE as error:
        message = f"{path} cannot be read as an image: {error}"
        raise DataError(message) from error
    _check_claim(path, image, without_voxels=without_voxels)
    return image


def _check_claim(
    path: Path, image: nib.spatialimages.SpatialImage, *, without_voxels: bool
) -> None:
    """Refuse a header that claims more than its file can hold, before memory is asked for it."""
    shape = tuple(image.shape)
    by = " x ".join(map(str, shape))
    if min(shape, default=0) < 1:
        raise DataError(f"{path} has the shape {by or '()'}: every axis needs at least one voxel.")
    data = image.file_map.get("image")
    if data is None or data.filename is None or not hasattr(image.dataobj, "offset"):
        return
    on_disk = Path(data.filename).stat().st_size
    values = math.prod(shape)
    claimed = values * image.get_data_dtype().itemsize
    compressed = str(data.filename).endswith((".gz", ".bz2", ".zst"))
    if without_voxels and not compressed and on_disk <= image.dataobj.offset:
        claimed = 0
    most = on_disk * _BEST_RATIO if compressed else on_disk - image.dataobj.offset
    if compressed and claimed > _LARGE_BYTES:
        most = on_disk * _USUAL_RATIO
    if values > _MOST_VALUES or claimed > most:
        raise DataError(
            f"{path} is damaged or truncated: its header claims {by} values ({_size(claimed)}), "
            f"and a file of {_size(on_disk)} holds at most {_size(max(most, 0))}. Accepted are "
            f"files that hold what they claim, up to {_MOST_VALUES:.0e} values."
        )


def _size(count: int) -> str:
    """Return bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def load(path: str | Path, *, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Read an image.

    Parameters
    ----------
    path : path-like
    dtype : dtype
        Of the returned voxels; the scale factors of the header are applied.

    Returns
    -------
    data : (x, y, z) or (x, y, z, t) array
    affine : (4, 4) float64 array
        Voxel to world, RAS+ mm.

    Raises
    ------
    DataError
        When the file is absent, empty, truncated or not an image.
    """
    image = load_header(path)
    try:
        with whole(path, image) as opened:
            scaled = opened.dataobj.slope != 1 or opened.dataobj.inter != 0
            if np.dtype(dtype).kind == "f" and scaled:
                data = np.asarray(opened.dataobj, dtype=np.float64).astype(dtype)
            else:
                data = np.asarray(opened.dataobj).astype(dtype)
    except UNREADABLE as error:
        message = f"{path} is damaged or truncated: {error}"
        raise DataError(message) from error
    return data, np.asarray(image.affine, dtype=np.float64)


@contextlib.contextmanager
def whole(
    path: str | Path, image: nib.spatialimages.SpatialImage
) -> Iterator[nib.spatialimages.SpatialImage]:
    """Open a compressed image so that its file is read to the end, where the checksum stands.

    Voxels end before it: without it a damaged file is read with other values, and no word.
    """
    if Path(path).suffix != ".gz" or not hasattr(image, "from_stream"):
        yield image
        return
    with igzip.open(path) as file:
        yield type(image).from_stream(file)
        beyond = 0
        while part := file.read(_AT_ONCE):
            beyond += len(part)
            if beyond > _AT_ONCE:
                message = f"more than {_size(_AT_ONCE)} follow the voxels that its header claims"
                raise ValueError(message)


def load_volume(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an image of one volume: (x, y, z) float32, also when stored as (x, y, z, 1).

    Raises
    ------
    DataError
        When the image holds several volumes; see also `load`.
    """
    shape = load_header(path).shape
    if len(shape) < 3 or set(shape[3:]) - {1}:
        by = " x ".join(map(str, shape))
        raise DataError(f"{path} has the shape {by}: one volume is needed.")
    data, affine = load(path)
    return data.reshape(shape[:3]), affine


def load_mask(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask: (x, y, z) bool, true where the image is not 0, and its affine."""
    data, affine = load_volume(path)
    return np.nan_to_num(data) != 0, affine


def save(
    path: str | Path,
    data: np.ndarray,
    affine: np.ndarray,
    *,
    dtype: type = np.float32,
    tr: float | None = None,
    intent: int = 0,
    metadata: dict | None = None,
) -> None:
    """Write an image with both header forms (sform and qform), and its sidecar.

    The code of the forms follows from the space that the name of the file tells.

    Parameters
    ----------
    path : path-like
        Ends in ``.nii`` or ``.nii.gz``.
    data : (x, y, z), (x, y, z, t) or (x, y, z, 1, 3) array
    affine : (4, 4) array
        Voxel to world, RAS+ mm.
    dtype : dtype
        On disk. Integer types are rounded and must hold the values.
    tr : float, optional
        Repetition time in seconds, for 4D images.
    intent : int
        Intent code of the NIfTI standard; 0 is none.
    metadata : dict, optional
        Written as ``.json`` beside the image.

    Raises
    ------
    DataError
        When the values do not fit an integer `dtype`.
    """
    data = np.asarray(data)
    if np.dtype(dtype).kind in "iu" and data.dtype.kind == "f":
        data = np.rint(data)
        limits = np.iinfo(dtype)
        if not np.all((data >= limits.min) & (data <= limits.max)):
            message = f"{path}: values do not fit {np.dtype(dtype)} or are not finite."
            raise DataError(message)
    header = new_header(path, data.shape, affine, dtype, tr)
    header["intent_code"] = intent
    image = nib.Nifti1Image(data.astype(dtype, copy=False), affine, header)
    with atomic(path) as partial:
        with open_to_write(partial) as stream:
            image.to_stream(stream)
        if metadata is not None:  # first: an image that is there has its sidecar
            write_json(sidecar(path), metadata)


def new_header(
    path: str | Path, shape: tuple[int, ...], affine: np.ndarray, dtype: type, tr: float | None
) -> nib.Nifti1Header:
    """Return the header of a single-file image, with both forms of the affine."""
    code = _space_code(Path(path).name)
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    # A fourth axis of trials, images or echoes has no unit of time.
    header.set_xyzt_units("mm", None if tr is None else "sec")
    header.set_sform(affine, code=code)
    header.set_qform(affine, code=code)
    if tr is not None:
        header["pixdim"][4] = tr
    header.set_slope_inter(1, 0)
    header.set_data_offset(header.single_vox_offset)
    return header


def _space_code(name: str) -> int:
    """Return the NIfTI code of the space that a name tells (``space-``, of a transform ``to-``).

    1 is the scanner's own, 2 aligned with another image of the subject, 4 MNI, 5 another template.
    """
    label = next(iter(re.findall(r"_(?:space|to)-([A-Za-z0-9]+)_", name)), None)
    if label is None:
        return 1
    if label in ("T1w", "boldref"):
        return 2
    return 4 if label.startswith("MNI") else 5


@contextlib.contextmanager
def open_to_write(path: Path) -> Iterator[BinaryIO]:
    """Open an image file for writing; compressed when its name ends in ``.gz``.

    The header of a compressed file has neither its name nor the time: equal images are equal files.
    """
    with path.open("wb") as file:
        if not path.name.endswith(".gz"):
            yield file
            return
        with igzip.IGzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream:
            yield stream
