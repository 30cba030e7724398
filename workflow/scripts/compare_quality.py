"""Measure a variant's series: visual response, tSNR and smoothness."""

import numpy as np

from mebold import affines, compare_quality, glm_blocks, glm_session, hrf, nifti, series, visual_roi
from mebold.jobs import job

with job(snakemake):
    mask, affine = nifti.load_mask(snakemake.input.mask)
    runs = snakemake.params.runs
    session = glm_session.prepare(
        [
            series.open_variant(path, echo=run["single_echo"])
            for path, run in zip(snakemake.input.series, runs, strict=True)
        ],
        [nifti.read_tsv(path) for path in snakemake.input.events],
        runs=runs,
        **snakemake.params.design,
    )
    response = hrf.assumed(session.tr, session.stimulus_duration_s)
    onsets = [design.sum(axis=1) for design in session.design]
    regressors = [np.convolve(onset, response)[: len(onset)] for onset in onsets]
    degrees = [glm_blocks.degree(len(r), tr=session.tr) for r in regressors]
    lags = round(snakemake.params.correlation_s / session.tr)
    found = visual_roi.visual_response(session.data, regressors, degrees=degrees, lags=lags)
    size = affines.voxel_sizes(affine)
    tsnr, fwhm = [], []
    for data, regressor, degree in zip(session.data, regressors, degrees, strict=True):
        tsnr.append(compare_quality.tsnr(data, degree=degree))
        smooth = compare_quality.smoothness(
            data, mask, voxel_mm=size, degree=degree, regressors=regressor[:, None]
        )
        fwhm.append(smooth.fwhm)
    np.savez(snakemake.output[0], score=found.score, tsnr=np.stack(tsnr), fwhm=np.array(fwhm))
