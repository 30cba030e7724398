"""Slice timing and the one interpolation of a run, with what is known of its samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mebold.geometry import affines, displacement, interpolation, phase_encoding
from mebold.hmc import path
from mebold.resample import gaps, interpolate, samples, slice_clock, slice_timing

#: What the composed map holds for every point.
_PER_POINT = ("field_hz", "warp_mm")


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


def placed(
    points: np.ndarray,
    to_boldref: np.ndarray,
    *,
    affine: np.ndarray,
    motion: np.ndarray,
    centre: np.ndarray,
    field: tuple[np.ndarray, np.ndarray] | None = None,
    warp: tuple[np.ndarray, np.ndarray] | None = None,
    change_hz: np.ndarray | None = None,
    jacobian_of: Mapping | None = None,
) -> Placement:
    """Read at the output points what is known on grids of the run: field, warp, change of size.

    Parameters
    ----------
    points : (V, 3) array
        World mm of the output voxels.
    to_boldref : (4, 4) array
        Point map from the output frame to the EPI reference.
    affine, motion, centre, change_hz
        See `Placement`.
    field : (volume (x, y, z), affine (4, 4)), optional
        Off-resonance in Hz on the grid of the EPI reference. Without a warp it is in the true
        geometry; with one in the frame as acquired, and read where the scanner put each point.
    warp : (displacements (x', y', z', 3), affine (4, 4)), optional
        Gradient nonlinearity, mm, RAS+; leads from the corrected reference to the acquired one.
    jacobian_of : mapping, optional
        ``direction`` and ``readout_s`` (s) of a run whose intensities are to be corrected for the
        change of voxel size by the field; nothing happens without a field.

    Returns
    -------
    Placement
        Field in Hz, displacements in mm and factors at the points; None for what is not known.
    """
    warp_mm, hertz, factor = None, None, None
    if warp is not None:
        warp_mm = displacement.at_points(*warp, affines.apply(to_boldref, points))
    if field is not None:
        where = {"matrix": to_boldref, "warp_mm": warp_mm}
        hertz = interpolation.resample_volume(*field, points, **where, order=1)
        if jacobian_of is not None:
            epi = {key: jacobian_of[key] for key in ("direction", "readout_s")}
            size = phase_encoding.jacobian(*field, boldref_affine=field[1], **epi)
            factor = interpolation.resample_volume(size, field[1], points, **where, order=1)
    return Placement(
        affine=affine,
        points=points,
        motion=motion,
        centre=centre,
        to_boldref=to_boldref,
        field_hz=hertz,
        change_hz=change_hz,
        warp_mm=warp_mm,
        jacobian=factor,
    )


def resample_run(
    echoes: Iterable[np.ndarray],
    placement: Placement,
    *,
    run: dict,
    method: str,
    store,
    least_coverage: float,
    non_steady: int = 0,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, dict]:
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
        Voxels inside the field of view in a smaller share of the samples are 0 throughout: most
        of their series would be made up. In the others, samples outside are bridged (`gaps`).
    non_steady : int
        Volumes at the start that are not steady: later samples do without them.
    n_threads : int

    Returns
    -------
    data : (E, V, T) float32 array
        What `store` returned.
    covered : (V,) float32 array
        Share of the samples in which each voxel lies inside the field of view.
    about : dict
        ``EdgeSamples``: output samples (from 0) that rest on repeated first or last volumes;
        ``VoxelsOutside``: voxels set to 0; ``VoxelsPartlyOutside``: voxels kept although they are
        outside in some samples; ``BridgedSamples``: the samples in which one of these is;
        ``SmallestCoverage``: smallest share of the kept voxels; ``LeastCoverage``: the limit;
        ``NonSteadyStateVolumes`` and ``NonSteadyStateSamples``: acquired volumes, and samples at
        the start that rest on them;
        ``IntensityCorrectedForDistortion`` and ``NonlinearGradientCorrection``: true, and only
        there when that was done.
    """
    corrected, timing = [], {"tr": run["tr"], "tr_out": run["tr_out"]}
    early = samples.non_steady_samples(non_steady, **timing)
    timing["non_steady"] = non_steady
    for echo in echoes:
        axis, offsets = slice_clock.slice_times(run, echo.shape)
        corrected.append(
            slice_timing.Corrected(echo, offsets, **timing, method=method, slice_axis=axis)
        )
    shape = corrected[0].shape
    motion = path.at_times(
        placement.motion,
        **timing,
        n_out=shape[3],
        centre=placement.centre,
        volume_time_s=slice_clock.volume_time(run),
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
    partly = np.flatnonzero(kept & (covered < 1.0))
    own = {k: v[partly] for k, v in chain.items() if k in _PER_POINT and v is not None}
    there = interpolate.inside(shape, where[0], where[1][partly], **(chain | own))
    data[:, partly] = gaps.bridge(data[:, partly], there, early=early)
    edges = samples.edge_samples(offsets, n_volumes=len(placement.motion), **timing)
    about = {
        "EdgeSamples": np.flatnonzero(edges).tolist(),
        "VoxelsOutside": int((~kept).sum()),
        "VoxelsPartlyOutside": len(partly),
        "BridgedSamples": np.flatnonzero(~there.all(axis=0)).tolist(),
        "SmallestCoverage": float(covered[kept].min()) if kept.any() else None,
        "LeastCoverage": least_coverage,
        "NonSteadyStateVolumes": non_steady,
        "NonSteadyStateSamples": early,
    }
    if placement.jacobian is not None:
        about["IntensityCorrectedForDistortion"] = True
    if placement.warp_mm is not None:
        about["NonlinearGradientCorrection"] = True
    return data, covered, about
