"""Fit single trials of a session: GLMsingle FITHRF_GLMDENOISE_RR."""

from mebold.figures.singletrial import beta_carpet, component_curve, model_maps
from mebold.figures.style import save
from mebold.files import images, metadata, series, tables
from mebold.jobs import coverage, fitted, session, sidecar
from mebold.jobs.script import job, owner
from mebold.multiecho import ica_outcome
from mebold.singletrial import fit
from mebold.variants import variant_of

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    chosen = {"runs": params.runs, "design": params.design, "confounds": params.confounds}
    data = session.read(files, **chosen)
    options = {"further": params.further, "seed": params.seed, **params.settings}
    result = fit.fit(data, n_threads=snakemake.threads, **options)
    samples = dict(zip((run["stem"] for run in params.runs), files.samples, strict=True))
    short, full = metadata.upstream(
        variant_of(snakemake.wildcards.glm),
        {stem: tables.read_json(samples[stem]) for stem in data.used},
    )
    space = {"SpatialReference": params.reference, **coverage.known(out.coverage), **short}
    made_of = [*params.images, *files.events, *files.ica, files.mask]
    packages = ["numpy", "scipy", "h5py", *fit.packages(params.settings["engine"])]
    outcomes = [tables.read_json(path) for path in files.ica]
    fields = fitted.write(
        dict(out.items()),
        data,
        result,
        mask=mask,
        affine=affine,
        about=sidecar.Sidecar(snakemake, packages=packages, sources=made_of, **space),
        columns=data.columns(session.described(files.described)),
        remarks=full | ({"IcaFallbacks": ica_outcome.fallbacks(outcomes)} if outcomes else {}),
    )
    maps = {key: values for key, (values, _, _) in fit.maps(fields).items()}
    whose = owner(snakemake)
    drawn = {"order": maps["r2"], "title": f"Single-trial betas, {whose}"}
    carpet = beta_carpet(fields["betas"], data.trials["stem"].tolist(), **drawn)
    save(carpet, out.carpet)
    title = f"Number of noise components\n{whose}"
    curve = component_curve(result.xval_trend, chosen=result.pc_num, title=title)
    save(curve, out.components)
    grids = {key: series.unmask(maps[key], mask) for key in ("r2", "hrf", "fracridge")}
    shown = {"mask": series.unmask(fit.fitted(fields), mask), "r2": grids["r2"]}
    shown["title"] = f"Single-trial model, {whose}"
    save(model_maps(grids["hrf"], grids["fracridge"], affine, **shown), out.maps)
