"""The fields of a session on one grid, and the one that holds for a run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mebold.anat.bias import bias_correct
from mebold.anat.epi_mask import mask_of_even
from mebold.clock import elapsed
from mebold.errors import DataError, MetadataError
from mebold.geometry import affines, grids
from mebold.registration import rigid

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Map:
    """One field map: (x, y, z) field in Hz and magnitude (0 where there is none), (4, 4) affine."""

    field_hz: np.ndarray
    magnitude: np.ndarray
    affine: np.ndarray

    @cached_property
    def even(self) -> np.ndarray:
        """The magnitude (x, y, z) without its receive bias (N4)."""
        return bias_correct(self.magnitude, self.affine)

    @cached_property
    def brain(self) -> np.ndarray:
        """The brain that the magnitude shows, (x, y, z) bool."""
        return mask_of_even(self.even, self.affine)


def on_first_grid(maps: Mapping[str, Map]) -> tuple[np.ndarray, Map]:
    """Bring the maps of a session to the grid and the head position of the first.

    Parameters
    ----------
    maps : mapping of name to Map

    Returns
    -------
    fields : (x, y, z, n) float32 array
        Hz, in the order of the maps.
    mean : Map
        Mean field and mean magnitude, with the affine of all.

    Raises
    ------
    DataError
        When two maps cannot be aligned, because one of several has no magnitude.
    """
    names = list(maps)
    first = maps[names[0]]
    fields, magnitudes = [first.field_hz], [first.magnitude]
    if len(maps) > 1:
        for name, one in maps.items():
            if not np.any(one.magnitude):
                message = f"fieldmap {name} has no magnitude image: several cannot be aligned."
                raise DataError(message)
    for name in names[1:]:
        one, shape = maps[name], first.magnitude.shape
        to_own = rigid.register(
            one.magnitude,
            first.magnitude,
            moving_affine=one.affine,
            reference_affine=first.affine,
            mask=first.brain,
        ).matrix
        logger.info("fieldmap %s moved by %s", name, affines.rigid_parameters(to_own, np.zeros(3)))
        pull = {"matrix": to_own}
        fields.append(
            grids.onto(one.field_hz, one.affine, shape, first.affine, mode="nearest", **pull)
        )
        magnitudes.append(grids.onto(one.magnitude, one.affine, shape, first.affine, **pull))
    stacked = np.stack(fields, axis=-1).astype(np.float32)
    mean = Map(stacked.mean(axis=-1), np.mean(magnitudes, axis=0), first.affine)
    return stacked, mean


def run_weights(
    names: Sequence[str],
    times_s: Sequence[float | None],
    *,
    wanted: Sequence[str],
    at_s: float | None,
) -> dict[str, float]:
    """Return what each field map of a session contributes to the field of a run.

    Parameters
    ----------
    names : sequence of str
        Field maps of the session.
    times_s : sequence of float or None
        When each was acquired, seconds since midnight.
    wanted : sequence of str
        Those that the run is paired with.
    at_s : float, optional
        Centre of the run, seconds since midnight; None when it is not known or was on another
        day than the maps.

    Returns
    -------
    dict of str to float
        Wanted map to weight; the weights sum to 1. Linear in time between the maps before and
        after the run, the nearest map outside of them; equal where times are not known.

    Raises
    ------
    MetadataError
        When times are not finite.
    """
    times = [times_s[names.index(name)] for name in wanted]
    if len(wanted) == 1 or at_s is None or None in times:
        return dict.fromkeys(wanted, 1.0 / len(wanted))
    weights = time_weights(times, at_s)
    return {name: float(w) for name, w in zip(wanted, weights, strict=True)}


def weighted(fields: np.ndarray, names: Sequence[str], weights: Mapping[str, float]) -> np.ndarray:
    """Return the weighted sum of maps, (x, y, z): `fields` is (x, y, z, n), or (x, y, z) for one.

    `names` are in the order of the maps; those without a weight do not count.
    """
    each = [weights.get(name, 0.0) for name in names]
    return np.tensordot(fields.reshape(*fields.shape[:3], -1), each, axes=1).astype(np.float32)


def time_weights(times_s: Sequence[float], at_s: float) -> np.ndarray:
    """Return the weights that interpolate maps linearly to one moment.

    Parameters
    ----------
    times_s : (n,) sequence of float
        When each of two or more maps was acquired, in any order; seconds since midnight. Maps of
        one time share its weight equally.
    at_s : float
        The moment; before the first and after the last map the nearest one is used. The session
        may run over midnight.

    Returns
    -------
    (n,) float64 array

    Raises
    ------
    MetadataError
        When times are not finite.
    """
    after = elapsed(np.asarray(times_s, dtype=np.float64), at_s)
    if not np.isfinite(after).all():
        message = (
            f"field maps need finite acquisition times to be interpolated to {at_s} s, "
            f"got {list(times_s)} s: check AcquisitionTime in their sidecars."
        )
        raise MetadataError(message)
    known, place, alike = np.unique(after, return_inverse=True, return_counts=True)
    if known.size == 1:
        return np.full(after.size, 1.0 / after.size)
    weights = np.zeros(known.size)
    right = int(np.clip(np.searchsorted(known, 0.0), 1, known.size - 1))
    share = np.clip(-known[right - 1] / (known[right] - known[right - 1]), 0.0, 1.0)
    weights[right - 1], weights[right] = 1.0 - share, share
    return (weights / alike)[place]
