"""One row of the run table from one image: file name, sidecar and header."""

import re
from pathlib import Path

from mebold.errors import DataError, MetadataError
from mebold.files import bids
from mebold.files.images import load_header
from mebold.inventory.tree import File

FUNC_SUFFIXES = ("bold", "sbref", "phase", "noRF")
ANAT_SUFFIXES = (
    "T1w", "T2w", "UNIT1", "MP2RAGE", "MEGRE", "T2starw", "T2star", "PDw", "PDT2", "FLAIR",
    "inplaneT1", "inplaneT2", "T1map", "T2starmap", "angio",
)  # fmt: skip
#: Entities that only processed images have.
_PROCESSED = {"space", "resolution", "density", "label", "description"}
#: Labels of ``part`` seen in real data sets, and what they mean.
_PARTS = {
    "mag": ("mag", "magnitude", "m", "abs"),
    "phase": ("phase", "pha", "ph", "p"),
    "real": ("real", "re"),
    "imag": ("imag", "imaginary", "im"),
}
_IMAGE_TYPES = {"M": "mag", "MAGNITUDE": "mag", "P": "phase", "PHASE": "phase",
                "R": "real", "REAL": "real", "I": "imag", "IMAGINARY": "imag"}  # fmt: skip
_NUMBERS = {
    "repetition_time": "RepetitionTime",
    "echo_time": "EchoTime",
    "echo_time_1": "EchoTime1",
    "echo_time_2": "EchoTime2",
    "flip_angle": "FlipAngle",
    "inversion_time": "InversionTime",
    "repetition_time_preparation": "RepetitionTimePreparation",
    "repetition_time_excitation": "RepetitionTimeExcitation",
    "magnetic_field_strength": "MagneticFieldStrength",
    "discarded_by_scanner": "NumberOfVolumesDiscardedByScanner",
    "discarded_by_user": "NumberOfVolumesDiscardedByUser",
}
_TEXTS = {
    "phase_encoding_direction": "PhaseEncodingDirection",
    "slice_encoding_direction": "SliceEncodingDirection",
    "acquisition_type": "MRAcquisitionType",
    "units": "Units",
}
_LISTS = {
    "slice_timing": "SliceTiming",
    "volume_timing": "VolumeTiming",
    "image_type": "ImageType",
    "number_shots": "NumberShots",
    "b0_identifier": "B0FieldIdentifier",
    "b0_source": "B0FieldSource",
    "intended_for": "IntendedFor",
}
_ENTITY_COLUMNS = (
    "subject", "session", "task", "acquisition", "run", "echo", "part", "suffix", "direction",
    "reconstruction", "inversion",
)  # fmt: skip
_CLOCK = re.compile(r"(\d{1,2}):?(\d{2}):?(\d{2}(?:\.\d*)?)\Z")


def wanted(path: str) -> bool:
    """Return whether a file is an image that the run table lists: BOLD, fieldmap or anatomy."""
    if not path.endswith((".nii", ".nii.gz")):
        return False
    datatype = _datatype(path)
    try:
        entities = bids.parse(path)
    except MetadataError:
        return False
    if _PROCESSED & set(entities):
        return False
    suffix = entities["suffix"]
    if datatype == "func":
        return suffix in FUNC_SUFFIXES
    return datatype == "fmap" or (datatype == "anat" and suffix in ANAT_SUFFIXES)


def _datatype(path: str) -> str:
    parts = path.split("/")
    return parts[-2] if len(parts) > 1 else ""


def row(root: Path, file: File, metadata: dict, *, scan_time: str | None = None) -> dict:
    """Describe one image.

    Parameters
    ----------
    root : Path
        Of the dataset.
    file : File
    metadata : dict
        Of its sidecars, inheritance resolved.
    scan_time : str, optional
        Its ``acq_time`` in ``scans.tsv``; counts where the sidecar has no acquisition time.

    Returns
    -------
    dict
        Columns of the run table that depend on this image alone; None where absent.

    Raises
    ------
    MetadataError
        When a sidecar key holds something of the wrong type.
    """
    entities = bids.parse(file.path)
    cells = {column: entities.get(column) for column in _ENTITY_COLUMNS}
    cells |= {column: _number(metadata, key, file.path) for column, key in _NUMBERS.items()}
    cells |= {column: _text(metadata.get(key)) for column, key in _TEXTS.items()}
    cells |= {column: _list(metadata.get(key)) for column, key in _LISTS.items()}
    cells |= _header(root / file.path, file)
    readout, readout_by = _readout_time(metadata, cells["shape"], file.path)
    if cells["suffix"] == "phase" and _datatype(file.path) == "func":
        cells |= {"suffix": "bold", "part": "phase"}  # the name before BIDS had the part entity
    return cells | {
        "path": file.path,
        "datatype": _datatype(file.path),
        "stem": bids.stem(entities),
        "folder": bids.folder(entities["subject"], entities.get("session")),
        "group": bids.group(entities) if _datatype(file.path) == "func" else None,
        "component": _component(cells),
        "acquisition_time": _acquisition_time(metadata, scan_time),
        "total_readout_time": readout,
        "readout_by": readout_by,
        "gradient_correction": _gradient_correction(metadata, cells["image_type"]),
    }


def _number(metadata: dict, key: str, path: str) -> float | None:
    value = metadata.get(key)
    if isinstance(value, list):  # a value per echo of a 4D anatomy, or a value in brackets
        value = value[0] if len(value) == 1 else None
    if value in (None, "", "n/a"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        message = f"{path}: the sidecar key {key} is {value!r}; a number is needed."
        raise MetadataError(message) from None


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _list(value: object) -> list | None:
    if value in (None, "", "n/a", []):
        return None
    return list(value) if isinstance(value, list | tuple) else [value]


def _header(path: Path, file: File) -> dict:
    """Return shape, voxel size, number of volumes, and whether the image can be read."""
    unknown = {"shape": None, "voxel_mm": None, "n_volumes": None}
    if file.size == 0:
        return unknown | {"image_state": "empty" if path.exists() else "missing"}
    try:
        header = load_header(path, without_voxels=True).header
    except DataError:
        return unknown | {"image_state": "damaged"}
    shape = [int(n) for n in header.get_data_shape()]
    return {
        "shape": shape,
        "voxel_mm": [round(float(size), 5) for size in header.get_zooms()[:3]],
        "n_volumes": shape[3] if len(shape) > 3 else 1,
        "image_state": "ok",
    }


def _readout_time(metadata: dict, shape: list | None, path: str) -> tuple:
    """Return the total readout time in seconds and the sidecar key it comes from."""
    total = _number(metadata, "TotalReadoutTime", path)
    if total is not None:
        return total, "TotalReadoutTime"
    spacing = _number(metadata, "EffectiveEchoSpacing", path)
    axis = "ijk".find(str(metadata.get("PhaseEncodingDirection", "-"))[:1])
    n_lines = _number(metadata, "ReconMatrixPE", path)
    if shape and 0 <= axis < len(shape):
        n_lines = shape[axis]
    if spacing is None or n_lines is None:
        # The header will give the lines of an image that was not fetched.
        return None, None if spacing is None else "EffectiveEchoSpacing"
    return spacing * (n_lines - 1), "EffectiveEchoSpacing"


def _component(cells: dict) -> str:
    """Return what the voxels are: mag, phase, real, imag, or other for an unknown part label."""
    label = str(cells["part"] or "").lower()
    for component, spellings in _PARTS.items():
        if label in spellings:
            return component
    types = [_IMAGE_TYPES[t] for t in map(str, cells["image_type"] or []) if t in _IMAGE_TYPES]
    if label:
        return types[0] if types else "other"
    if cells["suffix"] in ("phasediff", "phase1", "phase2"):
        return "phase"
    return "mag"


def _acquisition_time(metadata: dict, scan_time: str | None) -> float | None:
    """Return seconds since midnight."""
    for value in (metadata.get("AcquisitionTime"), metadata.get("AcquisitionDateTime"), scan_time):
        text = str(value or "").rsplit("T", 1)[-1].split("+")[0].rstrip("Z").strip()
        if text.replace(".", "").isdigit() and ":" not in text:
            whole, _, fraction = text.partition(".")
            text = whole.zfill(6) + ("." + fraction if fraction else "")
        match = _CLOCK.match(text)
        if match:
            hours, minutes, seconds = match.groups()
            return round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 6)
    return None


def _gradient_correction(metadata: dict, image_type: list | None) -> str | None:
    """Return DIS2D, DIS3D or ND as the scanner noted it, else what the sidecar's flag says."""
    noted = [*(image_type or []), *(metadata.get("ImageTypeText") or [])]
    for key in ("DIS3D", "DIS2D", "ND"):
        if key in noted:
            return key
    flag = metadata.get("NonlinearGradientCorrection")
    return None if flag is None else ("applied" if flag else "ND")
