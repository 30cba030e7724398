"""Noise ceiling of one session, from its repeated images."""

import numpy as np

from mebold import derivatives, figures, model_file, nifti, noiseceiling, series
from mebold.jobs import job

with job(snakemake):
    mask, affine = nifti.load_mask(snakemake.input.mask)
    t1w, t1w_affine = nifti.load(snakemake.input.t1w)
    trials = nifti.read_tsv(snakemake.input.trials)
    level = snakemake.params.zscore
    selections = {
        "all": noiseceiling.Selection(),
        "between": noiseceiling.Selection(pairs="different_runs"),
    }
    with model_file.open_model(snakemake.input.model) as model:
        found = noiseceiling.noise_ceilings(
            [model["betas"]],
            [trials["label"].tolist()],
            runs=[trials["run"].astype(str).tolist()],
            selections=selections,
            zscore=None if level == "none" else level,
        )
    about = derivatives.Sidecar(
        snakemake,
        packages=["numpy", "h5py"],
        SpatialReference="T1w of the subject",
        ZscoredWithin=level,
        ImagesPerRepeatCount=found["all"].repeats,
    )
    out = snakemake.output
    maps = {
        "nc": (found["all"].nc, "percent"),
        "between": (found["between"].nc, "percent"),
        "ncsnr": (found["all"].ncsnr, "1"),
    }
    for name, (values, units) in maps.items():
        volume = series.unmask(np.nan_to_num(values).astype(np.float32), mask)
        nifti.save(getattr(out, name), volume, affine, metadata=about(Units=units))
    volume = series.unmask(np.nan_to_num(found["all"].nc), mask)
    name = snakemake.wildcards.group
    figures.save(
        figures.noise_ceiling(
            volume, affine, t1w=t1w, t1w_affine=t1w_affine, mask=mask, subtitle=name
        ),
        out.figure,
    )
