"""Slice timing and the single interpolation of all echoes of a run, into a masked store."""

import numpy as np

from mebold.files import images, series, tables, transforms
from mebold.geometry import affines, displacement, interpolation, phase_encoding
from mebold.jobs.script import job
from mebold.multiecho import summary
from mebold.resample import run

with job(snakemake) as log:
    files = snakemake.input
    volumes = tables.read_json(files.volumes)
    mask, grid = images.load_mask(files.mask)
    points = affines.grid_points(mask.shape, grid, mask)
    if files.displacement:
        points = points + transforms.load_displacement(files.displacement)[0][mask]
    to_boldref = transforms.load_xfm(files.xfm)
    warp_mm, hertz, factor = None, None, None
    if files.warp:
        warp_mm = displacement.at_points(
            *transforms.load_displacement(files.warp), affines.apply(to_boldref, points)
        )
    if files.field:  # known where the scanner put each point
        where = {"matrix": to_boldref, "warp_mm": warp_mm}
        field, field_affine = images.load(files.field)
        hertz = interpolation.resample_volume(field, field_affine, points, **where, order=1)
        if snakemake.params.jacobian:
            epi = {key: snakemake.params.run[key] for key in ("direction", "readout_s")}
            change_of_size = phase_encoding.jacobian(
                field, field_affine, boldref_affine=field_affine, **epi
            )
            factor = interpolation.resample_volume(
                change_of_size, field_affine, points, **where, order=1
            )
    change = images.load(files.change)[0] if files.change else None
    placement = run.Placement(
        affine=images.load_header(files.bold[0]).affine,
        points=points,
        motion=transforms.load_xfm(files.motion).reshape(-1, 4, 4),
        centre=np.asarray(volumes["Centre"]),
        to_boldref=to_boldref,
        field_hz=hertz,
        change_hz=change,
        warp_mm=warp_mm,
        jacobian=factor,
    )
    store, samples = run.resample_run(
        (images.load(path)[0][..., : volumes["Volumes"]] for path in files.bold),
        placement,
        run=snakemake.params.run,
        method=snakemake.params.method,
        store=lambda shape: series.create(snakemake.output.store, shape),
        least_coverage=snakemake.params.least_coverage,
        n_threads=snakemake.threads,
    )
    store.flush()
    log.info("samples: %s", samples)
    np.savez(snakemake.output.summary, **vars(summary.summarise(store)))
    if factor is not None:
        samples |= {"IntensityCorrectedForDistortion": True}
    if files.warp:
        samples |= {"NonlinearGradientCorrection": True, "GradientWarp": files.warp}
    tables.write_json(snakemake.output.samples, samples)
