"""Fit T2* and S0 once for the runs of a session, from the untouched data."""

import numpy as np

from mebold import decay, derivatives, echo_summary, figures, nifti, series
from mebold.jobs import job

with job(snakemake):
    settings = snakemake.params.settings
    summaries = []
    for path in snakemake.input.summaries:
        with np.load(path) as saved:
            summaries.append(echo_summary.Summary(**{key: saved[key] for key in saved.files}))
    pooled = echo_summary.pool(summaries)
    fits = [decay.fit(pooled, snakemake.params.te, method=settings["method"])]
    if settings["pool"] == "run":
        fits += [decay.fit(s, snakemake.params.te, method=settings["method"]) for s in summaries]
    mask, affine = nifti.load_mask(snakemake.input.mask)
    out = snakemake.output
    used = fits[1:] or fits
    np.savez(
        out.fit,
        t2star=np.stack([f.t2star for f in used]),
        adaptive_mask=np.stack([f.adaptive_mask for f in used]),
    )
    about = derivatives.Sidecar(
        snakemake, packages=["tedana", "nibabel", "numpy"], SpatialReference="T1w of the subject"
    )
    t2star = series.unmask(fits[0].t2star, mask)
    nifti.save(out.t2star, t2star, affine, metadata=about(Units="s"))
    nifti.save(out.s0, series.unmask(fits[0].s0, mask), affine, metadata=about(Units="arbitrary"))
    good = series.unmask(fits[0].adaptive_mask, mask)
    nifti.save(
        out.adaptive,
        good,
        affine,
        dtype="int16",
        metadata=about(Description="Number of leading echoes with good signal."),
    )
    figures.save(figures.t2star(t2star, affine, mask=mask), out.figure)
