"""Measure a variant's series: visual response, tSNR and smoothness."""

import numpy as np

from mebold.compare import quality
from mebold.files import arrays, images
from mebold.geometry import affines
from mebold.jobs import session
from mebold.jobs.script import job
from mebold.singletrial import hrf

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.mask)
    params = snakemake.params
    data = session.read(snakemake.input, runs=params.runs, design=params.design)
    response = hrf.assumed(data.tr, data.stimulus_duration_s)
    onsets = [design.sum(axis=1) for design in data.design]
    regressors = [np.convolve(onset, response)[: len(onset)] for onset in onsets]
    # As the fit, without the samples before the steady state.
    found = quality.of_session(
        [run[:, early:] for run, early in zip(data.data, data.non_steady, strict=True)],
        [r[early:] for r, early in zip(regressors, data.non_steady, strict=True)],
        mask,
        tr=data.tr,
        correlation_s=params.correlation_s,
        voxel_mm=affines.voxel_sizes(affine),
    )
    arrays.save_named(snakemake.output[0], **vars(found))
