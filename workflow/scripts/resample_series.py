"""Slice timing and the single interpolation of all echoes of a run, into a masked store."""

import numpy as np

from mebold import affines, echo_summary, hmc_path, nifti, resample, series, stc
from mebold.jobs import job

with job(snakemake) as log:
    run = snakemake.params.run
    volumes = nifti.read_json(snakemake.input.volumes)
    mask, grid = nifti.load_mask(snakemake.input.mask)
    points = affines.grid_points(mask.shape, grid, mask)
    echoes, affine, offsets = [], None, None
    for path in snakemake.input.bold:
        data, affine = nifti.load(path)
        data = data[..., : volumes["Volumes"]]
        # Without SliceTiming all slices count as acquired at the start of their volume.
        axis, offsets = stc.slice_axis_and_times(
            np.asarray(run["slice_timing"] or [0.0] * data.shape[2]),
            slice_encoding_direction=run["slice_encoding_direction"],
        )
        times = {"tr": run["tr"], "tr_out": run["tr_out"], "slice_axis": axis}
        echoes.append(stc.correct(data, offsets, **times, **snakemake.params.slice_timing))
    motion = nifti.load_xfm(snakemake.input.motion).reshape(-1, 4, 4)
    motion = hmc_path.at_times(
        motion,
        tr=run["tr"],
        tr_out=run["tr_out"],
        n_out=echoes[0].shape[3],
        centre=np.asarray(volumes["Centre"]),
        # A volume shows the head at the mean time of its slices.
        volume_time_s=float(np.mean(offsets)),
    )
    to_boldref = nifti.load_xfm(snakemake.input.xfm)
    distortion = {}
    if snakemake.input.field:
        field, field_affine = nifti.load(snakemake.input.field)
        hertz = resample.resample_volume(field, field_affine, points, matrix=to_boldref, order=1)
        distortion = {
            "field_hz": hertz,
            "direction": run["direction"],
            "readout_s": run["readout_s"],
        }
    store = series.create(snakemake.output.store, (len(echoes), len(points), echoes[0].shape[3]))
    resample.resample_series(
        echoes,
        affine,
        points,
        motion=motion,
        to_boldref=to_boldref,
        out=store,
        clip_negative=True,
        n_threads=snakemake.threads,
        **distortion,
    )
    store.flush()
    summary = echo_summary.summarise(store)
    np.savez(snakemake.output.summary, **vars(summary))
