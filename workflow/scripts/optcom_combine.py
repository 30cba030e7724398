"""Combine the echoes of a run with the T2* weights of its session."""

from mebold.files import arrays, series
from mebold.jobs.script import job
from mebold.multiecho import combine

with job(snakemake):
    store = series.open(snakemake.input.store)
    fit = arrays.load_named(snakemake.input.fit)
    t2star, good = fit["weights_t2star"], fit["weights_echoes"]
    times = snakemake.params.run["echo_times"]
    with series.writing(snakemake.output.store, store.shape[1:]) as out:
        combine.optcom(store, t2star, times, good, out=out)
