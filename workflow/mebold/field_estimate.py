"""One field in Hz from the images of one fieldmap, whatever its kind, with what it depends on."""

from collections.abc import Mapping

import numpy as np

from mebold import fmap, fmap_phase
from mebold.errors import MetadataError

_DILATION_MM = 3.0  # phase beyond the object's edge is still measured, with low weight


def estimate(
    kind: str,
    images: Mapping[str, np.ndarray],
    rows: Mapping[str, Mapping],
    affine: np.ndarray,
    *,
    phase_range: tuple[float, float] | None,
    smoothing_mm: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Make the field of one fieldmap.

    Parameters
    ----------
    kind : {"phasediff", "phases", "fieldmap"}
    images : mapping of suffix to (x, y, z) array
        Stored values; magnitudes where there are any.
    rows : mapping of suffix to table row
        With ``path``, ``echo_time``, ``echo_time_1``, ``echo_time_2`` (s) and ``units``.
    affine : (4, 4) array
        Voxel to world of all images.
    phase_range : (low, high), optional
        Stored values of -pi and +pi; detected among the known ranges when not given.
    smoothing_mm : float
        FWHM of the weighted smoothing.

    Returns
    -------
    field_hz, magnitude : (x, y, z) float32 array

    Raises
    ------
    MetadataError
        When the kind is not supported, an echo time is missing, or the echo times are equal.
    """
    if kind == "fieldmap":
        field = fmap.field_to_hz(images["fieldmap"], units=rows["fieldmap"]["units"])
        magnitude = images.get("magnitude", np.ones_like(field))
        return field.astype(np.float32), magnitude
    if kind not in ("phasediff", "phases"):
        path = next(iter(rows.values()))["path"]
        message = (
            f"{path}: no field can be made from a fieldmap of the kind {kind!r}; "
            "accepted are phasediff, phase1 with phase2, and a field in Hz, rad/s or T."
        )
        raise MetadataError(message)
    magnitude = np.mean([v for k, v in images.items() if k.startswith("magnitude")], axis=0)
    mask = fmap.magnitude_mask(magnitude, affine)
    options = {"affine": affine, "fwhm_mm": smoothing_mm, "dilate_mm": _DILATION_MM}

    def radians(suffix: str) -> np.ndarray:
        row = rows[suffix]
        return fmap_phase.phase_to_radians(
            images[suffix], value_range=phase_range, units=row["units"], name=row["path"]
        )

    first, second = echo_times(kind, rows)
    if kind == "phasediff":
        field = fmap.phasediff_to_hz(
            radians("phasediff"), magnitude, mask, delta_te_s=second - first, **options
        )
    else:
        field = fmap.twophase_to_hz(
            radians("phase1"),
            radians("phase2"),
            magnitude,
            mask,
            te1_s=first,
            te2_s=second,
            **options,
        )
    return field.astype(np.float32), magnitude.astype(np.float32)


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
