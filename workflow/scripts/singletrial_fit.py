"""Fit single trials of a session: GLMsingle FITHRF_GLMDENOISE_RR."""

import numpy as np

from mebold.figures.singletrial import beta_carpet, component_curve, model_maps
from mebold.figures.style import save
from mebold.files import images, model, series, tables
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.multiecho import ica_outcome
from mebold.singletrial import fit
from mebold.singletrial.session import TRIAL_COLUMNS, prepare

with job(snakemake) as log:
    mask, affine = images.load_mask(snakemake.input.mask)
    t1w, _ = images.load(snakemake.input.underlay)
    runs, out = snakemake.params.runs, snakemake.output
    session = prepare(
        [
            series.open_variant(path, echo=run["single_echo"])
            for path, run in zip(snakemake.input.series, runs, strict=True)
        ],
        [tables.read_tsv(path) for path in snakemake.input.events],
        runs=runs,
        **snakemake.params.design,
    )
    result = fit.fit(
        session,
        seed=snakemake.params.seed,
        n_threads=snakemake.threads,
        **snakemake.params.settings,
    )
    about = sidecar.Sidecar(
        snakemake,
        packages=["numpy", "scipy", "scikit-learn", "h5py"],
        SpatialReference=snakemake.params.reference,
    )
    fields = fit.fields(result)
    model.write(out.model, fields, mask=mask)
    tables.write_tsv(out.trials, session.trials)
    tables.write_json(tables.sidecar(out.trials), TRIAL_COLUMNS)
    maps = {
        key: series.unmask(np.nan_to_num(fields[key]), mask)
        for key in ("r2", "hrf_index", "frac_value")
    }
    images.save_volumes(
        out.betas,
        series.volumes(result.betas, mask),
        affine,
        shape=(*mask.shape, len(session.trials)),
        metadata=about(Units="percent signal change"),
    )
    images.save(out.r2, maps["r2"], affine, metadata=about(Units="percent"))
    images.save(out.hrf, maps["hrf_index"], affine, dtype=np.int16, metadata=about())
    images.save(out.fracridge, maps["frac_value"], affine, metadata=about(Units="fraction"))
    summary = fit.summary(session, result)
    if snakemake.input.ica:
        outcomes = [tables.read_json(path) for path in snakemake.input.ica]
        summary["IcaFallbacks"] = ica_outcome.fallbacks(outcomes)
    tables.write_json(out.summary, about(**summary))
    save(
        beta_carpet(
            fields["betas"], session.trials["run"].tolist(), order=np.nan_to_num(fields["r2"])
        ),
        out.carpet,
    )
    curve = component_curve(result.xval_trend, chosen=result.pc_num)
    save(curve, out.components)
    # Voxels of the mask that no run has seen have no model.
    fitted = series.unmask(np.isfinite(fields["r2"]), mask) > 0
    save(
        model_maps(maps["hrf_index"], maps["frac_value"], affine, mask=fitted, r2=maps["r2"]),
        out.maps,
    )
