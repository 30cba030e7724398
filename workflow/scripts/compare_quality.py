"""Measure a variant's series: visual response, tSNR and smoothness."""

import numpy as np

from mebold.compare import quality
from mebold.confounds import drifts
from mebold.files import images, series, tables
from mebold.geometry import affines
from mebold.jobs.script import job
from mebold.rois import visual
from mebold.singletrial import hrf
from mebold.singletrial.session import prepare

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.mask)
    runs = snakemake.params.runs
    session = prepare(
        [
            series.open_variant(path, echo=run["single_echo"])
            for path, run in zip(snakemake.input.series, runs, strict=True)
        ],
        [tables.read_tsv(path) for path in snakemake.input.events],
        runs=runs,
        **snakemake.params.design,
    )
    response = hrf.assumed(session.tr, session.stimulus_duration_s)
    onsets = [design.sum(axis=1) for design in session.design]
    regressors = [np.convolve(onset, response)[: len(onset)] for onset in onsets]
    degrees = [drifts.degree(len(r), tr=session.tr) for r in regressors]
    lags = round(snakemake.params.correlation_s / session.tr)
    found = visual.visual_response(session.data, regressors, degrees=degrees, lags=lags)
    size = affines.voxel_sizes(affine)
    tsnr, fwhm = [], []
    for data, regressor, degree in zip(session.data, regressors, degrees, strict=True):
        tsnr.append(quality.tsnr(data, degree=degree))
        smooth = quality.smoothness(
            data, mask, voxel_mm=size, degree=degree, regressors=regressor[:, None]
        )
        fwhm.append(smooth.fwhm)
    np.savez(snakemake.output[0], score=found.score, tsnr=np.stack(tsnr), fwhm=np.array(fwhm))
