"""Tabulate the confounds of a run beside its BOLD image."""

import numpy as np
from scipy import ndimage

from mebold.confounds.compcor import CompCorOptions
from mebold.confounds.table import confounds_table
from mebold.files import images, segmentation, series, tables, transforms
from mebold.hmc import path
from mebold.jobs.script import job
from mebold.resample import slice_timing

with job(snakemake):
    run, settings = snakemake.params.run, snakemake.params.settings
    mask, _ = images.load_mask(snakemake.input.mask)
    brain = images.load_mask(snakemake.input.brain)[0]
    tissue = images.load(snakemake.input.dseg)[0].round()
    data = series.open_variant(snakemake.input.store, echo=run["single_echo"])
    covered = data.std(axis=1) > 0
    # Eroded, so that partial volume with cortex does not make task signal a confound.
    masks = {
        "brain": brain[mask] & covered,
        "csf": ndimage.binary_erosion(tissue == segmentation.CSF)[mask] & covered,
        "wm": ndimage.binary_erosion(tissue == segmentation.WM)[mask] & covered,
    }
    volumes = tables.read_json(snakemake.input.volumes)
    centre = np.asarray(volumes["Centre"])
    acquired = transforms.load_xfm(snakemake.input.motion).reshape(-1, 4, 4)
    sampled = path.at_times(
        acquired,
        tr=run["tr"],
        tr_out=run["tr_out"],
        n_out=data.shape[1],
        centre=centre,
        volume_time_s=slice_timing.volume_time(run),
    )
    table, metadata = confounds_table(
        data,
        tr=run["tr_out"],
        motion=path.parameters(sampled, centre),
        motion_acquired=path.parameters(acquired, centre),
        tr_acquired=run["tr"],
        masks=masks,
        fd_threshold_mm=settings["fd_threshold_mm"],
        dvars_threshold=settings["dvars_threshold"],
        options=CompCorOptions(
            variance=settings["compcor_variance"], high_pass_s=settings["high_pass_s"]
        ),
    )
    tables.write_tsv(snakemake.output.table, table)
    tables.write_json(snakemake.output.info, metadata)
