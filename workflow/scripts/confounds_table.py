"""Tabulate the confounds of a run beside its BOLD image."""

import numpy as np
from scipy import ndimage

from mebold import confounds, hmc_path, nifti, resample_run, series
from mebold.compcor import CompCorOptions
from mebold.jobs import job

with job(snakemake):
    run, settings = snakemake.params.run, snakemake.params.settings
    mask, _ = nifti.load_mask(snakemake.input.mask)
    brain = nifti.load_mask(snakemake.input.brain)[0]
    tissue = nifti.load(snakemake.input.dseg)[0].round()
    data = series.open_variant(snakemake.input.store, echo=run["single_echo"])
    covered = data.std(axis=1) > 0
    # Eroded, so that partial volume with cortex does not make task signal a confound.
    masks = {
        "brain": brain[mask] & covered,
        "csf": ndimage.binary_erosion(tissue == 1)[mask] & covered,
        "wm": ndimage.binary_erosion(tissue == 3)[mask] & covered,
    }
    volumes = nifti.read_json(snakemake.input.volumes)
    centre = np.asarray(volumes["Centre"])
    acquired = nifti.load_xfm(snakemake.input.motion).reshape(-1, 4, 4)
    sampled = hmc_path.at_times(
        acquired,
        tr=run["tr"],
        tr_out=run["tr_out"],
        n_out=data.shape[1],
        centre=centre,
        volume_time_s=resample_run.volume_time(run),
    )
    table, metadata = confounds.confounds_table(
        data,
        tr=run["tr_out"],
        motion=hmc_path.parameters(sampled, centre),
        motion_acquired=hmc_path.parameters(acquired, centre),
        tr_acquired=run["tr"],
        masks=masks,
        fd_threshold_mm=settings["fd_threshold_mm"],
        dvars_threshold=settings["dvars_threshold"],
        options=CompCorOptions(
            variance=settings["compcor_variance"], high_pass_s=settings["high_pass_s"]
        ),
    )
    nifti.write_tsv(snakemake.output.table, table)
    nifti.write_json(snakemake.output.info, metadata)
