"""Noise ceiling of one session, from its repeated images."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import save
from mebold.files import images, series, tables
from mebold.files.model import open_model
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.noiseceiling import ceilings, sums

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.mask)
    t1w, t1w_affine = images.load(snakemake.input.underlay)
    with open_model(snakemake.input.model) as model:
        found = ceilings.of_trials(
            [model["betas"]],
            [tables.read_tsv(snakemake.input.trials)],
            selections={
                "all": sums.Selection(),
                "between": sums.Selection(pairs="different_runs"),
            },
            zscore=snakemake.params.zscore,
        )
    about = sidecar.Sidecar(
        snakemake,
        packages=["numpy", "h5py"],
        SpatialReference=snakemake.params.reference,
        ZscoredWithin=snakemake.params.zscore,
        ImagesPerRepeatCount=found["all"].repeats,
    )
    out = snakemake.output
    for path, values, units in (
        (out.nc, found["all"].nc, "percent"),
        (out.between, found["between"].nc, "percent"),
        (out.ncsnr, found["all"].ncsnr, "1"),
    ):
        series.save_map(path, values, mask, affine, metadata=about(Units=units))
    figure = noise_ceiling(
        series.unmask(np.nan_to_num(found["all"].nc), mask),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        subtitle=snakemake.wildcards.group,
    )
    save(figure, out.figure)
