"""Fit T2* and S0 once for the runs that share echo weights, from the untouched data."""

from mebold.figures.multiecho import t2star
from mebold.figures.style import save
from mebold.files import arrays, images, series
from mebold.jobs import sidecar
from mebold.jobs.script import job, owner
from mebold.multiecho import decay, summary

with job(snakemake):
    saved = map(arrays.load_named, snakemake.input.summaries)
    summaries = [summary.Summary(**one) for one in saved]
    fit = decay.fit(summary.pool(summaries), snakemake.params.te, method=snakemake.params.method)
    mask, affine = images.load_mask(snakemake.input.mask)
    out = snakemake.output
    kept = ("t2star", "adaptive_mask", "weights_t2star", "weights_echoes")
    arrays.save_named(out.fit, **{name: getattr(fit, name) for name in kept})
    about = sidecar.Sidecar(
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
        images.save(path, volume, affine, dtype=values.dtype, metadata=about(**keys))
    title = f"T2*, {owner(snakemake)}"
    save(t2star(series.unmask(fit.t2star, mask), affine, mask=mask, title=title), out.figure)
