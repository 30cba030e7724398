"""Measure a variant's series: visual response, tSNR and smoothness."""

import numpy as np

from mebold.compare import quality
from mebold.confounds import drifts
from mebold.files import arrays, images, series
from mebold.geometry import affines
from mebold.jobs import session
from mebold.jobs.script import job
from mebold.rois import visual
from mebold.singletrial import hrf, stream

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.mask)
    params = snakemake.params
    data = session.read(snakemake.input, runs=params.runs, design=params.design)
    response = hrf.assumed(data.tr, data.stimulus_duration_s)
    onsets = [design.sum(axis=1) for design in data.design]
    regressors = [np.convolve(onset, response)[: len(onset)] for onset in onsets]
    # As the fit, without the samples before the steady state.
    regressors = [r[early:] for r, early in zip(regressors, data.non_steady, strict=True)]
    runs = [run[:, early:] for run, early in zip(data.data, data.non_steady, strict=True)]
    degrees = [drifts.degree(len(r), tr=data.tr) for r in regressors]
    lags = round(params.correlation_s / data.tr)

    def score(voxels):
        parts = [run[voxels] for run in runs]
        found = visual.score(parts, regressors, tr=data.tr, lags=lags)
        series.let_go(*data.data)
        return found

    # All runs by blocks of voxels, then one run after the other: mapped pages count as used.
    size = stream.block_size(sum(map(len, regressors)), None)
    scores = np.concatenate(stream.for_blocks(score, int(mask.sum()), size, 1))
    size = affines.voxel_sizes(affine)
    tsnr, fwhm = [], []
    for run, regressor, degree in zip(runs, regressors, degrees, strict=True):
        tsnr.append(quality.tsnr(run, degree=degree))
        smooth = quality.smoothness(
            run, mask, voxel_mm=size, degree=degree, regressors=regressor[:, None]
        )
        fwhm.append(smooth.fwhm)
        series.let_go(run)
    arrays.save_named(snakemake.output[0], score=scores, tsnr=np.stack(tsnr), fwhm=np.array(fwhm))
