"""When the slices of a volume were acquired."""

import numpy as np

from mebold.errors import MetadataError


def slice_axis_and_times(
    slice_timing: np.ndarray, *, slice_encoding_direction: str = "k"
) -> tuple[int, np.ndarray]:
    """Bring BIDS SliceTiming into the order of the stored slices.

    Parameters
    ----------
    slice_timing : array, shape (z,)
        SliceTiming of the sidecar, seconds.
    slice_encoding_direction : str
        "i", "j" or "k", with "-" when the first entry belongs to the last stored slice.

    Returns
    -------
    axis : int
    times : ndarray, shape (z,), float64

    Raises
    ------
    MetadataError
        If the direction is none of the six.
    """
    axis = "ijk".find(slice_encoding_direction[:1]) if slice_encoding_direction else -1
    if axis < 0 or slice_encoding_direction[1:] not in ("", "-"):
        raise MetadataError(
            f"SliceEncodingDirection {slice_encoding_direction!r}: expected i, j or k, "
            "with - for the reverse order"
        )
    times = np.asarray(slice_timing, dtype=np.float64)
    return axis, times[::-1] if slice_encoding_direction.endswith("-") else times


def slice_times(run: dict, shape: tuple[int, ...]) -> tuple[int, np.ndarray]:
    """Return the slice axis and the slice times in s; 0 for all slices without SliceTiming."""
    axis = "ijk".index(run["slice_encoding_direction"][0])
    timing = run["slice_timing"] or [0.0] * shape[axis]
    return slice_axis_and_times(
        np.asarray(timing), slice_encoding_direction=run["slice_encoding_direction"]
    )


def volume_time(run: dict) -> float:
    """Return the time within a volume at which it shows the head, s: the mean of its slices."""
    return float(np.mean(run["slice_timing"] or [0.0]))
