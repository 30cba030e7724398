"""Noise ceiling of one session, from its repeated images."""

import numpy as np

from mebold import derivatives, figures, model_file, nifti, noiseceiling, series
from mebold.jobs import job

with job(snakemake):
    mask, affine = nifti.load_mask(snakemake.input.mask)
    t1w, t1w_affine = nifti.load(snakemake.input.underlay)
    with model_file.open_model(snakemake.input.model) as model:
        found = noiseceiling.of_trials(
            [model["betas"]],
            [nifti.read_tsv(snakemake.input.trials)],
            selections={
                "all": noiseceiling.Selection(),
                "between": noiseceiling.Selection(pairs="different_runs"),
            },
            zscore=snakemake.params.zscore,
        )
    about = derivatives.Sidecar(
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
    figure = figures.noise_ceiling(
        series.unmask(np.nan_to_num(found["all"].nc), mask),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        subtitle=snakemake.wildcards.group,
    )
    figures.save(figure, out.figure)
