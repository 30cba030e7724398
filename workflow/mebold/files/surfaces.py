"""Cortical surfaces in and out: FreeSurfer's files and GIFTI."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from mebold.errors import DataError
from mebold.files.atomic import atomic
from mebold.files.images import UNREADABLE
from mebold.files.tables import write_json

#: Hemispheres as BIDS writes them, and as FreeSurfer and GIFTI do.
HEMISPHERES = {"L": ("lh", "CortexLeft"), "R": ("rh", "CortexRight")}
_HEMISPHERE = re.compile(r"(?:^|[._-])(?:hemi-)?(lh|rh|L|R)(?=[._-])")
_NO_NAME = re.compile(r"[^A-Za-z0-9]")


def hemisphere(path: str | Path) -> str:
    """Return the hemisphere that a file's name tells, ``L`` or ``R``.

    Raises
    ------
    DataError
        When it tells none.
    """
    found = _HEMISPHERE.search(Path(path).name)
    if found is None:
        raise DataError(
            f"{path} does not say which hemisphere it is of: lh., rh., hemi-L or hemi-R in its "
            "name is needed"
        )
    return found[1][0].upper()


def read_surface(path: str | Path, *, placed: bool = True) -> tuple[np.ndarray, np.ndarray, dict]:
    """Read vertices (N, 3) in mm and faces (F, 3) of a surface, and where its volume lies.

    Parameters
    ----------
    path : path-like
    placed : bool
        Whether the place is needed; of a sphere it is not.

    Returns
    -------
    vertices : (N, 3) float64 array
        In FreeSurfer's surface coordinates where `geometry` is not empty, else in world mm (GIFTI).
    faces : (F, 3) int64 array
    geometry : dict
        For `mebold.rois.surfaces.tkr_to_scanner`; empty if it is neither there nor needed.

    Raises
    ------
    DataError
        When the file is absent or damaged, or a FreeSurfer surface does not say where it lies.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path} does not exist: surfaces are read from a FreeSurfer subject folder"
        )
    try:
        if path.name.endswith((".gii", ".gii.gz")):
            image = nib.load(path)
            vertices, faces = (image.agg_data(name) for name in ("pointset", "triangle"))
            return np.asarray(vertices, float), np.asarray(faces, np.int64), {}
        with warnings.catch_warnings():
            # Of a file without the place of its volume, which is said below.
            warnings.simplefilter("ignore", UserWarning)
            vertices, faces, geometry = nib.freesurfer.read_geometry(path, read_metadata=True)
    except (*UNREADABLE, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} cannot be read as a surface: {error}") from error
    if placed and "cras" not in geometry:
        orig = path.parents[1] / "mri" / "orig.mgz"
        if not orig.is_file():
            raise DataError(
                f"{path} does not say where its volume lies, and {orig} is not there: without "
                "either the surface cannot be brought to the T1w"
            )
        header = nib.load(orig).header
        axes = header["Mdc"].T
        geometry = {"volume": header["dims"][:3], "voxelsize": header["delta"]}
        geometry |= {f"{name}ras": axes[:, i] for i, name in enumerate("xyz")}
        geometry["cras"] = header["Pxyz_c"]
    return np.asarray(vertices, float), np.asarray(faces, np.int64), dict(geometry)


def read_regions(
    path: str | Path, *, vertices: int, name: str, threshold: float = 0.5
) -> dict[str, np.ndarray]:
    """Read the regions of one hemisphere.

    Parameters
    ----------
    path : path-like
        ``.label`` (a list of vertices), ``.annot`` or ``.label.gii`` (labels with their names), or
        values per vertex: ``.func.gii``, ``.shape.gii``, ``.mgz``, ``.mgh``.
    vertices : int
        Of the surface.
    name : str
        Of the region of a file that holds one.
    threshold : float
        Values above it belong to the region.

    Returns
    -------
    dict of str to (N,) bool array

    Raises
    ------
    DataError
        When the file is damaged, empty, or of a surface with other vertices.
    """
    path = Path(path)
    try:
        found, count = _read_regions(path, vertices=vertices, name=name, threshold=threshold)
    except (*UNREADABLE, KeyError, TypeError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as regions of a surface: {error}") from error
    if count > vertices or (count != vertices and not path.name.endswith(".label")):
        raise DataError(
            f"{path} has values for {count} vertices, the surface {vertices}: it belongs to "
            "another subject or another surface"
        )
    if not any(member.any() for member in found.values()):
        raise DataError(f"{path} is empty: no vertex belongs to a region")
    return {region: member for region, member in found.items() if member.any()}


def _read_regions(
    path: Path, *, vertices: int, name: str, threshold: float
) -> tuple[dict[str, np.ndarray], int]:
    """Return the regions of a file, and the vertices that it is about."""
    if path.name.endswith(".label"):
        listed = np.atleast_1d(nib.freesurfer.read_label(path))
        member = np.zeros(vertices, bool)
        member[listed[listed < vertices]] = True
        return {name: member}, int(listed.max(initial=-1)) + 1
    if path.name.endswith(".annot"):
        labels, _, names = nib.freesurfer.read_annot(path)
        known = {_NO_NAME.sub("", text.decode()): i for i, text in enumerate(names)}
        ignored = ("unknown", "Unknown", "corpuscallosum", "MedialWall", "")
        return {text: labels == i for text, i in known.items() if text not in ignored}, len(labels)
    image = nib.load(path)
    if path.name.endswith(".gii"):
        values = np.squeeze(np.asarray(image.agg_data()))
        table = image.labeltable.get_labels_as_dict() if path.name.endswith(".label.gii") else {}
        if table:
            named = {_NO_NAME.sub("", text): key for key, text in table.items() if key}
            return {text: values == key for text, key in named.items() if text}, len(values)
    else:
        values = np.squeeze(np.asarray(image.dataobj))
    return {name: np.nan_to_num(values) > threshold}, values.shape[0]


def read_map(path: str | Path) -> np.ndarray:
    """Read values (N,) of a hemisphere's vertices, see `save_map`.

    Raises
    ------
    DataError
        When the file is absent or damaged.
    """
    try:
        return np.asarray(nib.load(path).agg_data(), float)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as a map of a surface: {error}") from error


def save_map(
    path: str | Path, values: np.ndarray, *, hemi: str, metadata: Mapping | None = None
) -> None:
    """Write values (N,) of a hemisphere's vertices as GIFTI, and their sidecar.

    Parameters
    ----------
    path : path-like
        Ends in ``.func.gii``.
    values : (N,) array
        NaN where nothing is known.
    hemi : {"L", "R"}
    metadata : mapping, optional
        Written as ``.json`` beside the file.
    """
    array = nib.gifti.GiftiDataArray(
        np.asarray(values, np.float32), intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32"
    )
    said = nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": HEMISPHERES[hemi][1]})
    image = nib.gifti.GiftiImage(darrays=[array], meta=said)
    with atomic(path) as partial:
        partial.write_bytes(image.to_bytes())
        if metadata is not None:
            place = Path(path)
            name = place.name.removesuffix(".func.gii")
            write_json(place.with_name(f"{name}.json"), dict(metadata))
