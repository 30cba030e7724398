"""Fit T2* and S0 once for the runs that share echo weights, from the untouched data."""

import numpy as np

from mebold import decay, derivatives, echo_summary, figures, nifti, series
from mebold.jobs import job

with job(snakemake):
    summaries = []
    for path in snakemake.input.summaries:
        with np.load(path) as saved:
            summaries.append(echo_summary.Summary(**{key: saved[key] for key in saved.files}))
    fit = decay.fit(
        echo_summary.pool(summaries), snakemake.params.te, method=snakemake.params.method
    )
    mask, affine = nifti.load_mask(snakemake.input.mask)
    out = snakemake.output
    np.savez(out.fit, t2star=fit.t2star, adaptive_mask=fit.adaptive_mask)
    about = derivatives.Sidecar(
        snakemake,
        packages=["tedana", "nibabel", "numpy"],
        SpatialReference=snakemake.params.reference,
        PooledRuns=len(summaries),
    )
    maps = {
        out.t2star: (fit.t2star, {"Units": "s"}),
        out.s0: (fit.s0, {"Units": "arbitrary"}),
        out.rmse: (fit.rmse, {"Units": "arbitrary", "Description": decay.RMSE}),
        out.r2: (fit.r_squared, {"Units": "1", "Description": decay.R_SQUARED}),
        out.adaptive: (fit.adaptive_mask, {"Description": decay.ADAPTIVE_MASK}),
    }
    for path, (values, keys) in maps.items():
        volume = series.unmask(values, mask)
        nifti.save(path, volume, affine, dtype=values.dtype, metadata=about(**keys))
    figures.save(figures.t2star(series.unmask(fit.t2star, mask), affine, mask=mask), out.figure)
