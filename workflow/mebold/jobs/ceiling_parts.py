"""Noise ceilings on their way from the job that finds them all to the jobs that write one each."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mebold.files import arrays
from mebold.noiseceiling import maps
from mebold.noiseceiling.null import Null
from mebold.noiseceiling.sums import NoiseCeiling


def save(
    path: str | Path,
    found: Mapping[str, NoiseCeiling],
    chance: Mapping[str, Null],
    *,
    about: Callable[..., dict],
) -> None:
    """Write ceilings (``<name>_nc``, percent), what is significant, and their sidecars.

    Parameters
    ----------
    path : path-like
        Ends in ``.npz``.
    found, chance : mapping
        Name to ceiling and null, of the same voxels.
    about : callable
        Takes keys, returns the sidecar of one file.
    """
    held = {}
    for name, ceiling in found.items():
        said = about(ImagesPerRepeatCount=ceiling.repeats, **maps.by_chance(chance[name], ceiling))
        held[f"{name}_nc"] = ceiling.nc
        held[f"{name}_significant"] = chance[name].significant
        held[f"{name}_about"] = np.array(json.dumps(said))
    arrays.save_named(path, **held)
