"""Fit single trials of a session: GLMsingle FITHRF_GLMDENOISE_RR."""

from mebold.figures.singletrial import beta_carpet, component_curve, model_maps
from mebold.figures.style import save
from mebold.files import images, model, series, stream, tables
from mebold.jobs import coverage, session, sidecar
from mebold.jobs.script import job
from mebold.multiecho import ica_outcome
from mebold.singletrial import fit
from mebold.singletrial.session import TRIAL_COLUMNS

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    data = session.read(files, runs=params.runs, design=params.design)
    result = fit.fit(data, seed=params.seed, n_threads=snakemake.threads, **params.settings)
    space = {"SpatialReference": params.reference, **coverage.known(out.coverage)}
    packages = ["numpy", "scipy", "scikit-learn", "h5py"]
    about = sidecar.Sidecar(snakemake, packages=packages, **space)
    fields, summary = fit.fields(result), fit.summary(data, result)
    fitted = fit.fitted(fields)
    coverage.save_known(out.coverage, fitted, mask, affine, about=about)
    if files.ica:
        outcomes = [tables.read_json(path) for path in files.ica]
        summary["IcaFallbacks"] = ica_outcome.fallbacks(outcomes)
    model.write(out.model, fields, mask=mask)
    tables.write_tsv(out.trials, data.trials)
    tables.write_json(tables.sidecar(out.trials), TRIAL_COLUMNS)
    tables.write_json(out.summary, about(**summary))
    percent = about(Units="percent signal change")
    stream.save(out.betas, result.betas, mask, affine, metadata=percent)
    maps = fit.maps(fields)
    for key, (values, dtype, units) in maps.items():
        series.save_map(out[key], values, mask, affine, dtype=dtype, metadata=about(**units))
    r2, index, fraction = (series.unmask(values, mask) for values, _, _ in maps.values())
    carpet = beta_carpet(fields["betas"], data.trials["stem"].tolist(), order=maps["r2"][0])
    save(carpet, out.carpet)
    save(component_curve(result.xval_trend, chosen=result.pc_num), out.components)
    shown = series.unmask(fitted, mask)
    save(model_maps(index, fraction, affine, mask=shown, r2=r2), out.maps)
