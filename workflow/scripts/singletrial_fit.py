"""Fit single trials of a session: GLMsingle FITHRF_GLMDENOISE_RR."""

import numpy as np

from mebold import derivatives, figures, glm_session, ica_outcome, model_file, nifti, series
from mebold.jobs import job

with job(snakemake) as log:
    mask, affine = nifti.load_mask(snakemake.input.mask)
    t1w, _ = nifti.load(snakemake.input.underlay)
    runs, out = snakemake.params.runs, snakemake.output
    session = glm_session.prepare(
        [
            series.open_variant(path, echo=run["single_echo"])
            for path, run in zip(snakemake.input.series, runs, strict=True)
        ],
        [nifti.read_tsv(path) for path in snakemake.input.events],
        runs=runs,
        **snakemake.params.design,
    )
    result = glm_session.fit(
        session,
        seed=snakemake.params.seed,
        n_threads=snakemake.threads,
        **snakemake.params.settings,
    )
    about = derivatives.Sidecar(
        snakemake,
        packages=["numpy", "scipy", "scikit-learn", "h5py"],
        SpatialReference=snakemake.params.reference,
    )
    fields = glm_session.fields(result)
    model_file.write(out.model, fields, mask=mask)
    nifti.write_tsv(out.trials, session.trials)
    nifti.write_json(nifti.sidecar(out.trials), glm_session.TRIAL_COLUMNS)
    maps = {
        key: series.unmask(np.nan_to_num(fields[key]), mask)
        for key in ("r2", "hrf_index", "frac_value")
    }
    nifti.save_volumes(
        out.betas,
        series.volumes(result.betas, mask),
        affine,
        shape=(*mask.shape, len(session.trials)),
        metadata=about(Units="percent signal change"),
    )
    nifti.save(out.r2, maps["r2"], affine, metadata=about(Units="percent"))
    nifti.save(out.hrf, maps["hrf_index"], affine, dtype=np.int16, metadata=about())
    nifti.save(out.fracridge, maps["frac_value"], affine, metadata=about(Units="fraction"))
    summary = glm_session.summary(session, result)
    if snakemake.input.ica:
        outcomes = [nifti.read_json(path) for path in snakemake.input.ica]
        summary["IcaFallbacks"] = ica_outcome.fallbacks(outcomes)
    nifti.write_json(out.summary, about(**summary))
    figures.save(
        figures.beta_carpet(
            fields["betas"], session.trials["run"].tolist(), order=np.nan_to_num(fields["r2"])
        ),
        out.carpet,
    )
    curve = figures.component_curve(result.xval_trend, chosen=result.pc_num)
    figures.save(curve, out.components)
    # Voxels of the mask that no run has seen have no model.
    fitted = series.unmask(np.isfinite(fields["r2"]), mask) > 0
    figures.save(
        figures.model_maps(
            maps["hrf_index"], maps["frac_value"], affine, mask=fitted, r2=maps["r2"]
        ),
        out.maps,
    )
