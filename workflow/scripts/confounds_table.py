"""Tabulate the confounds of a run beside its BOLD image."""

import numpy as np

from mebold.confounds import regions
from mebold.confounds.compcor import CompCorOptions
from mebold.confounds.table import confounds_table
from mebold.files import images, series, tables, transforms
from mebold.hmc import path
from mebold.jobs.script import job
from mebold.resample import slice_clock

with job(snakemake):
    files, run, settings = snakemake.input, snakemake.params.run, snakemake.params.settings
    mask, brain = (images.load_mask(files[name])[0] for name in ("mask", "brain"))
    data = series.open_variant(files.store, echo=run["single_echo"])
    masks = regions.masks_of(data, mask=mask, brain=brain, dseg=images.load(files.dseg)[0])
    volumes, samples = tables.read_json(files.volumes), tables.read_json(files.samples)
    centre = np.asarray(volumes["Centre"])
    acquired = transforms.load_xfm(files.motion).reshape(-1, 4, 4)
    times = {key: run[key] for key in ("tr", "tr_out")} | {"n_out": data.shape[1]}
    times["volume_time_s"] = slice_clock.volume_time(run)
    times["non_steady"] = volumes["NonSteadyStateVolumes"]
    table, metadata = confounds_table(
        data,
        tr=run["tr_out"],
        motion=path.parameters(path.at_times(acquired, centre=centre, **times), centre),
        motion_acquired=path.parameters(acquired, centre),
        tr_acquired=run["tr"],
        masks=masks,
        n_non_steady=samples["NonSteadyStateSamples"],
        doubtful=volumes["DoubtfulVolumes"],
        fd_threshold_mm=settings["fd_threshold_mm"],
        dvars_threshold=settings["dvars_threshold"],
        options=CompCorOptions(
            variance=settings["compcor_variance"], high_pass_s=settings["high_pass_s"]
        ),
    )
    tables.write_tsv(snakemake.output.table, table)
    tables.write_json(snakemake.output.info, metadata)
