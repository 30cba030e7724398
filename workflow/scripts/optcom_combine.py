"""Combine the echoes of a run with the T2* weights of its session."""

import numpy as np

from mebold.files import series
from mebold.jobs.script import job
from mebold.multiecho import combine

with job(snakemake):
    store = series.open(snakemake.input.store)
    with np.load(snakemake.input.fit) as fit:
        t2star, good = fit["weights_t2star"], fit["weights_echoes"]
    out = series.create(snakemake.output.store, store.shape[1:])
    combine.optcom(store, t2star, snakemake.params.run["echo_times"], good, out=out)
    out.flush()
