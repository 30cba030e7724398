"""Slice timing and the single interpolation of all echoes of a run, into a masked store."""

import numpy as np

from mebold import (
    affines,
    echo_summary,
    nifti,
    nifti_warp,
    resample,
    resample_run,
    sdc,
    series,
    warp,
)
from mebold.jobs import job

with job(snakemake) as log:
    files = snakemake.input
    volumes = nifti.read_json(files.volumes)
    mask, grid = nifti.load_mask(files.mask)
    points = affines.grid_points(mask.shape, grid, mask)
    if files.displacement:
        points = points + nifti_warp.load(files.displacement)[0][mask]
    to_boldref = nifti.load_xfm(files.xfm)
    warp_mm, hertz, factor = None, None, None
    if files.warp:
        warp_mm = warp.at_points(*nifti_warp.load(files.warp), affines.apply(to_boldref, points))
    if files.field:  # known where the scanner put each point
        where = {"matrix": to_boldref, "warp_mm": warp_mm}
        field, field_affine = nifti.load(files.field)
        hertz = resample.resample_volume(field, field_affine, points, **where, order=1)
        if snakemake.params.jacobian:
            epi = {key: snakemake.params.run[key] for key in ("direction", "readout_s")}
            change_of_size = sdc.jacobian(field, field_affine, boldref_affine=field_affine, **epi)
            factor = resample.resample_volume(
                change_of_size, field_affine, points, **where, order=1
            )
    change = nifti.load(files.change)[0] if files.change else None
    placement = resample_run.Placement(
        affine=nifti.load_header(files.bold[0]).affine,
        points=points,
        motion=nifti.load_xfm(files.motion).reshape(-1, 4, 4),
        centre=np.asarray(volumes["Centre"]),
        to_boldref=to_boldref,
        field_hz=hertz,
        change_hz=change,
        warp_mm=warp_mm,
        jacobian=factor,
    )
    store, samples = resample_run.resample_run(
        (nifti.load(path)[0][..., : volumes["Volumes"]] for path in files.bold),
        placement,
        run=snakemake.params.run,
        method=snakemake.params.slice_timing["method"],
        store=lambda shape: series.create(snakemake.output.store, shape),
        least_coverage=snakemake.params.least_coverage,
        n_threads=snakemake.threads,
    )
    store.flush()
    log.info("samples: %s", samples)
    np.savez(snakemake.output.summary, **vars(echo_summary.summarise(store)))
    if factor is not None:
        samples |= {"IntensityCorrectedForDistortion": True}
    if files.warp:
        samples |= {"NonlinearGradientCorrection": True, "GradientWarp": files.warp}
    nifti.write_json(snakemake.output.samples, samples)
