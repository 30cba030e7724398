"""One field in Hz from the images of one fieldmap, whatever its kind, with what it depends on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.fmap import direct, gre, megre, pepolar, phase
from mebold.fmap.session import Map
from mebold.geometry.phase_encoding import opposite
from mebold.hmc import track

_SAME_MM = 0.01  # affines that differ by less in any element are one grid


class Image(NamedTuple):
    """One image of a fieldmap.

    Attributes
    ----------
    row : mapping
        Row of the run table: ``path``, ``suffix``, ``fieldmap_kind``, ``echo_time``,
        ``echo_time_1``, ``echo_time_2`` (s), ``units``, ``component``,
        ``phase_encoding_direction``, ``total_readout_time`` (s).
    data : (x, y, z) array
        Stored values; EPI images may have several volumes, (x, y, z, t).
    affine : (4, 4) array
        Voxel to world, mm.
    """

    row: Mapping
    data: np.ndarray
    affine: np.ndarray


def estimate(
    images: Sequence[Image],
    *,
    phase_range: tuple[float, float] | None,
    curvature: float,
    steepest_hz_mm: float,
    pepolar_stiffness: float,
) -> Map:
    """Make the field of one fieldmap.

    Parameters
    ----------
    images : sequence of Image
        All of one fieldmap, on one grid.
    phase_range : (low, high), optional
        Stored values of -pi and +pi; detected among the known ranges when not given.
    curvature, steepest_hz_mm : float
        Of a field made from phase; see `gre.phasediff_to_hz`.
    pepolar_stiffness : float
        See `pepolar.estimate`.

    Returns
    -------
    Map
        Field in Hz in every voxel; magnitude 0 everywhere where a direct field has none, and the
        mean corrected image of a pair of EPI images.

    Raises
    ------
    MetadataError
        When the kind is not supported, an echo time is missing, or the echo times are equal.
    GridMismatchError
        When the images are not on one grid.
    DataError
        When an image holds nothing: constant, or no finite value.
    """
    kind, affine = images[0].row["fieldmap_kind"], images[0].affine
    if kind == "pepolar":
        return _pepolar(images, pepolar_stiffness)
    _require_one_grid(images)
    by_suffix = {image.row["suffix"]: image for image in images}
    magnitude = _magnitude(images)
    if kind == "fieldmap":
        phase_options = {"curvature": curvature, "steepest_hz_mm": steepest_hz_mm}
        return Map(_direct(by_suffix["fieldmap"], magnitude, **phase_options), magnitude, affine)
    if kind == "megre":
        return _megre(images, phase_range, curvature=curvature, steepest_hz_mm=steepest_hz_mm)
    if kind not in ("phasediff", "phases"):
        message = (
            f"{images[0].row['path']}: no field can be made from a fieldmap of the kind {kind!r}; "
            "accepted are phasediff, phase1 with phase2, a field in Hz, rad/s or T, the phase of a "
            "multi-echo gradient echo, and two EPI images of opposite phase encoding."
        )
        raise MetadataError(message)
    mask = gre.magnitude_mask(magnitude, affine)
    options = {"affine": affine, "curvature": curvature, "steepest_hz_mm": steepest_hz_mm}

    def radians(suffix: str) -> np.ndarray:
        row, data, _ = by_suffix[suffix]
        return phase.phase_to_radians(
            data, value_range=phase_range, units=row["units"], name=row["path"]
        )

    first, second = echo_times(kind, {suffix: image.row for suffix, image in by_suffix.items()})
    if kind == "phasediff":
        delta = {"delta_te_s": second - first}
        field = gre.phasediff_to_hz(radians("phasediff"), magnitude, mask, **delta, **options)
    else:
        times = {"te1_s": first, "te2_s": second}
        phases = radians("phase1"), radians("phase2")
        field = gre.twophase_to_hz(*phases, magnitude, mask, **times, **options)
    return Map(field.astype(np.float32), magnitude, affine)


def _pepolar(images: Sequence[Image], stiffness: float) -> Map:
    """Return the field of two EPI images, the first echo of each direction."""
    known = [i for i in images if i.row["component"] == "mag" and i.row["total_readout_time"]]
    known.sort(key=lambda image: image.row["echo_time"] or 0.0)
    first = known[0].row["phase_encoding_direction"]
    pair = []
    for direction in (first, opposite(first)):
        image = next(i for i in known if i.row["phase_encoding_direction"] == direction)
        if not np.any(np.nan_to_num(image.data) > 0):
            message = f"{image.row['path']} holds no positive value: there is no image in it."
            raise DataError(message)
        volume = image.data
        if volume.ndim == 4:
            volume = track.robust_mean(volume, image.affine)
        readout_s = image.row["total_readout_time"]
        pair.append(pepolar.Epi(volume, image.affine, direction, readout_s))
    found = pepolar.estimate(*pair, stiffness=stiffness)
    return Map(found.field_hz, found.corrected, pair[0].affine)


def _megre(
    images: Sequence[Image], phase_range: tuple[float, float] | None, **options: float
) -> Map:
    """Return the field of the echoes of which there are magnitude and phase."""
    parts: dict[str, dict[float, Image]] = {"mag": {}, "phase": {}}
    for image in images:
        time = image.row["echo_time"]
        if time is None:
            message = f"{image.row['path']}: its sidecar lacks EchoTime (seconds): no field."
            raise MetadataError(message)
        parts.get(image.row["component"], {})[time] = image
    times = sorted(set(parts["mag"]) & set(parts["phase"]))
    radians = [
        phase.phase_to_radians(
            one.data, value_range=phase_range, units=one.row["units"], name=one.row["path"]
        )
        for one in (parts["phase"][time] for time in times)
    ]
    magnitudes = [parts["mag"][time].data for time in times]
    affine = images[0].affine
    field, magnitude = megre.to_hz(magnitudes, radians, times, affine=affine, **options)
    return Map(field, magnitude, affine)


def _require_one_grid(images: Sequence[Image]) -> None:
    """Raise when images of one fieldmap differ in matrix or position, or are series."""
    first = images[0]
    for image in images:
        if image.data.ndim != 3:
            message = f"{image.row['path']} has the shape {image.data.shape}: one volume is needed."
            raise GridMismatchError(message)
        if image.data.shape != first.data.shape:
            message = (
                f"{image.row['path']} has the matrix {image.data.shape}, {first.row['path']} "
                f"{first.data.shape}: the images of one fieldmap must share a grid."
            )
            raise GridMismatchError(message)
        if not np.allclose(image.affine, first.affine, atol=_SAME_MM):
            message = (
                f"{image.row['path']} and {first.row['path']} lie at different places (their "
                "affines differ): the images of one fieldmap must share a grid."
            )
            raise GridMismatchError(message)


def _magnitude(images: Sequence[Image]) -> np.ndarray:
    """Return the mean of the magnitude images; 0 where there is none or it is not finite."""
    volumes = []
    for image in images:
        if image.row["suffix"].startswith("magnitude"):
            volume = np.nan_to_num(image.data.astype(np.float32), posinf=0.0, neginf=0.0)
            if not (volume > 0).any():
                message = f"{image.row['path']} holds no positive value: there is no image in it."
                raise DataError(message)
            volumes.append(volume)
    return np.mean(volumes, axis=0) if volumes else np.zeros(images[0].data.shape, np.float32)


def _direct(image: Image, magnitude: np.ndarray, **options: float) -> np.ndarray:
    """Return a field in Hz from one that was stored, smoothed where a magnitude shows the noise."""
    finite = np.isfinite(image.data)
    if not finite.any() or np.ptp(image.data[finite]) == 0:
        message = f"{image.row['path']} holds one value only, or none: there is no field in it."
        raise DataError(message)
    units, times = image.row["units"], (image.row["echo_time_1"], image.row["echo_time_2"])
    if magnitude.any():
        delta = None if None in times or times[0] == times[1] else abs(times[1] - times[0])
        known = {"units": units, "delta_te_s": delta, "affine": image.affine}
        return direct.to_hz(image.data, magnitude, **known, **options)
    field = gre.field_to_hz(image.data, units=units)
    if finite.all():
        return field
    return gre.regularise(field, finite, finite, affine=image.affine, fwhm_mm=0.0)


def echo_times(kind: str, rows: Mapping[str, Mapping]) -> tuple[float, float]:
    """Return the two echo times of a phase difference in seconds, or say which key is missing."""
    if kind == "phasediff":
        row = rows["phasediff"]
        found = (row["echo_time_1"], row["echo_time_2"])
        if None in found and {"magnitude1", "magnitude2"} <= set(rows):
            # The magnitudes were acquired at the same two echo times.
            found = (rows["magnitude1"]["echo_time"], rows["magnitude2"]["echo_time"])
        key = "EchoTime1 and EchoTime2"
    else:
        row = rows["phase2"]
        found = (rows["phase1"]["echo_time"], rows["phase2"]["echo_time"])
        key = "EchoTime"
    if None in found:
        message = f"{row['path']}: its sidecar lacks {key} (seconds); without them no field in Hz."
        raise MetadataError(message)
    if not found[1] > found[0]:
        message = f"{row['path']}: {key} must ascend, got {found[0]} and {found[1]} s."
        raise MetadataError(message)
    return found
