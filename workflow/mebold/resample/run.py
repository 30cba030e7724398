"""Slice timing and the one interpolation of a run, with what is known of its samples."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mebold.hmc import path
from mebold.resample import interpolate, slice_timing


@dataclass(frozen=True)
class Placement:
    """Where and when a run was acquired, seen from the output grid.

    Attributes
    ----------
    affine : (4, 4) array
        Voxel to world of the raw volumes.
    points : (V, 3) array
        World mm of the output voxels.
    motion : (t, 4, 4) array
        Point maps from the EPI reference to each acquired volume.
    centre : (3,) array
        Centre of the head in the reference, world mm.
    to_boldref : (4, 4) array
        Point map from the output frame to the EPI reference.
    field_hz : (V,) array, optional
        Off-resonance at the points.
    change_hz : (x, y, z, t) array, optional
        Change of the field at the voxels as acquired, from `mebold.sdc.change.field_change`.
    warp_mm : (V, 3) array, optional
        Displacement of gradient nonlinearity, mm, at the points in the EPI reference.
    jacobian : (V,) array, optional
        Intensity factor of the points, from `sdc.jacobian`.
    """

    affine: np.ndarray
    points: np.ndarray
    motion: np.ndarray
    centre: np.ndarray
    to_boldref: np.ndarray
    field_hz: np.ndarray | None = None
    change_hz: np.ndarray | None = None
    warp_mm: np.ndarray | None = None
    jacobian: np.ndarray | None = None


def resample_run(
    echoes: Iterable[np.ndarray],
    placement: Placement,
    *,
    run: dict,
    method: str,
    store,
    least_coverage: float = 1.0,
    n_threads: int = 1,
) -> tuple[np.ndarray, dict]:
    """Bring all echoes of a run onto the output grid: once in time, once in space.

    Parameters
    ----------
    echoes : iterable of (x, y, z, t) array
        Magnitudes, read one after the other.
    placement : Placement
    run : dict
        ``tr``, ``tr_out`` (s), ``slice_timing``, ``slice_encoding_direction``, ``direction`` and
        ``readout_s``, as from `mebold.jobs.parameters`.
    method : {"cubic", "pchip"}
        Interpolation in time.
    store : callable
        Given the shape (E, V, T), returns the float32 array to fill.
    least_coverage : float
        Voxels inside the field of view in a smaller share of the samples are 0 throughout: a
        series with gaps would pass for signal.
    n_threads : int

    Returns
    -------
    data : (E, V, T) float32 array
        What `store` returned.
    about : dict
        ``EdgeSamples``: output samples (from 0) that rest on repeated first or last volumes;
        ``VoxelsOutside``: voxels set to 0; ``VoxelsPartlyOutside``: voxels kept although they are
        outside in some samples; ``SmallestCoverage``: smallest share of the kept voxels.
    """
    corrected, timing = [], {"tr": run["tr"], "tr_out": run["tr_out"]}
    for echo in echoes:
        axis, offsets = slice_timing.slice_times(run, echo.shape)
        corrected.append(
            slice_timing.Corrected(echo, offsets, **timing, method=method, slice_axis=axis)
        )
    shape = corrected[0].shape
    motion = path.at_times(
        placement.motion,
        **timing,
        n_out=shape[3],
        centre=placement.centre,
        volume_time_s=slice_timing.volume_time(run),
    )
    chain = {"motion": motion, "to_boldref": placement.to_boldref, "warp_mm": placement.warp_mm}
    if placement.field_hz is not None:
        chain |= {"field_hz": placement.field_hz}
        chain |= {"direction": run["direction"], "readout_s": run["readout_s"]}
    where = (placement.affine, placement.points)
    if placement.change_hz is not None:
        # The same operator as for the images: a sample that mixes volumes mixes their fields.
        resampling = {"method": method, "slice_axis": axis}
        change = slice_timing.correct(placement.change_hz, offsets, **timing, **resampling)
        chain["field_hz"] = interpolate.field_at_points(change, *where, **chain)
    data = store((len(corrected), len(placement.points), shape[3]))
    options = {"jacobian": placement.jacobian, "clip_negative": True, "n_threads": n_threads}
    interpolate.resample_series(corrected, *where, **chain, out=data, **options)
    covered = interpolate.coverage(shape, *where, **chain)
    kept = covered >= least_coverage
    data[:, ~kept] = 0.0
    edges = slice_timing.edge_samples(offsets, n_volumes=len(placement.motion), **timing)
    return data, {
        "EdgeSamples": np.flatnonzero(edges).tolist(),
        "VoxelsOutside": int((~kept).sum()),
        "VoxelsPartlyOutside": int((covered[kept] < 1.0).sum()),
        "SmallestCoverage": float(covered[kept].min()) if kept.any() else None,
    }
