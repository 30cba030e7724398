"""The echoes of a run as arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from mebold.files import images
from mebold.fmap import phase as phases_of


def read(
    files: object,
    *,
    volumes: int,
    phase_range: Sequence[float] | str,
    known: Mapping[int, np.ndarray] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read all echoes of a run without its noise volumes.

    Parameters
    ----------
    files : object
        Paths by the names ``magnitude`` and ``phase``, each in the order of the echoes.
    volumes : int
        Volumes that hold an image.
    phase_range : (low, high) or "auto"
        Stored values of -pi and +pi; "auto" detects them.
    known : mapping of int to (x, y, z, volumes) array, optional
        Index of an echo to its magnitude, where it is in memory already.

    Returns
    -------
    magnitudes, phases : list of (x, y, z, volumes) float32 array
        Phases in radians up to a constant, see `mebold.fmap.phase.series_to_radians`.

    Raises
    ------
    MetadataError, DataError
        When an image cannot be read, or the range of a phase is unclear or exceeded.
    """
    known = known or {}
    magnitudes = [
        known[echo] if echo in known else images.load(path)[0][..., :volumes]
        for echo, path in enumerate(files.magnitude)
    ]
    wanted = None if phase_range == "auto" else phase_range
    phases = [
        phases_of.series_to_radians(
            images.load(path)[0][..., :volumes], value_range=wanted, name=path
        )
        for path in files.phase
    ]
    return magnitudes, phases
