"""Slice timing and the single interpolation of all echoes of a run, into a masked store."""

import contextlib

import numpy as np

from mebold.files import arrays, images, metadata, series, tables, transforms
from mebold.geometry import affines
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.multiecho import summary
from mebold.resample import run

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    volumes = tables.read_json(files.volumes)
    mask, grid = images.load_mask(files.mask)
    points = affines.grid_points(mask.shape, grid, mask)
    if files.displacement:
        points = points + transforms.load_displacement(files.displacement)[0][mask]
    placement = run.placed(
        points,
        transforms.load_xfm(files.xfm),
        affine=images.load_header(files.bold[0]).affine,
        motion=transforms.load_xfm(files.motion).reshape(-1, 4, 4),
        centre=np.asarray(volumes["Centre"]),
        field=images.load(files.field) if files.field else None,
        warp=transforms.load_displacement(files.warp) if files.warp else None,
        change_hz=images.load(files.change)[0] if files.change else None,
        jacobian_of=params.run if params.jacobian else None,
    )
    echoes = (images.load(path)[0][..., : volumes["Volumes"]] for path in files.bold)
    options = {key: params[key] for key in ("run", "method", "least_coverage")}
    options |= {"non_steady": volumes["NonSteadyStateVolumes"], "n_threads": snakemake.threads}
    with contextlib.ExitStack() as whole:
        options["store"] = lambda shape: whole.enter_context(series.writing(out.store, shape))
        store, covered, samples = run.resample_run(echoes, placement, **options)
    log.info("samples: %s", samples)
    arrays.save(out.coverage, covered)
    steady = store[..., samples["NonSteadyStateSamples"] :]
    arrays.save_named(out.summary, **vars(summary.summarise(steady)))
    warp = {"GradientWarp": files.warp} if files.warp else {}
    denoised = snakemake.wildcards.thermal == "nordic"
    # Denoised echoes may be temporary; the record beside each stays.
    noted = [tables.sidecar(path) for path in files.bold] if denoised else []
    about = {"ThermalDenoising": metadata.thermal_denoising([*map(tables.read_json, noted)])}
    named = [files[name] for name in ("motion", "field", "change", "xfm", "displacement", "warp")]
    about["Sources"] = sidecar.sources_of(snakemake, [*noted, *(one for one in named if one)])
    tables.write_json(out.samples, samples | warp | about)
