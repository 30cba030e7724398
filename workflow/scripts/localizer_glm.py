"""Fit the conditions of a localizer in the runs of a session, and map their contrasts."""

import numpy as np

from mebold.files import arrays, images, stream, tables
from mebold.jobs import contrast_maps, sidecar
from mebold.jobs.script import job
from mebold.rois import condition_glm
from mebold.rois.contrasts import Contrast, weights
from mebold.singletrial import regressors

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    task, settings = params.task, dict(params.settings)
    mask, affine = images.load_mask(files.mask)
    wanted = {n: Contrast(tuple(c["of"]), tuple(c["against"])) for n, c in params.contrasts.items()}
    stems, names = [run["stem"] for run in params.runs], settings.pop("confounds")
    key = {"key": "rois.localizer.confounds", "patterns_may_miss": True}
    found = [tables.read_tsv(path) for path in files.confounds]
    nuisance = regressors.of_runs(found, names, runs=stems, **key) or [None] * len(stems)
    noise = settings.pop("noise")
    fits, left_out = contrast_maps.Fits({name: {} for name in wanted}), {n: {} for n in wanted}
    designs = {}
    for index, run in enumerate(params.runs):
        data = np.empty((int(mask.sum()), images.load_header(files.bold[index]).shape[3]), "f4")
        for place, block in stream.read(files.bold[index]):
            data[:, place] = block[mask]
        data[~images.load_mask(files.coverage[index])[0][mask]] = 0
        # Slices that were not shifted in time show the head in the middle of them.
        first = 0.0 if run["slice_timing"] else np.mean(run["acquired_slice_timing"] or [0.0])
        clock = {"n_samples": data.shape[1], "tr": run["tr_out"], "first_s": float(first)}
        end = first + data.shape[1] * run["tr_out"]
        told = {"column": task["column"], "baseline": task["baseline"], "name": files.events[index]}
        events = tables.read_tsv(files.events[index])
        events = condition_glm.events_of(events, end_s=end, **told)
        matrix = condition_glm.design(events, **clock, **settings, confounds=nuisance[index])
        designs[run["stem"]] = list(matrix.columns)
        own = {
            n: weights(c, set(events["trial_type"]), task["conditions"]) for n, c in wanted.items()
        }
        for name, (_, lacking) in own.items():
            if lacking:
                left_out[name][run["stem"]] = lacking
                log.warning("contrast %s: %s has no %s", name, run["stem"], ", ".join(lacking))
        usable = {name: vector for name, (vector, lacking) in own.items() if not lacking}
        for name, one in condition_glm.fit(data, matrix, usable, noise=noise).items():
            fits.estimates[name][run["stem"]] = one
    maps = fits.over_runs()
    about = sidecar.Sidecar(
        snakemake, packages=["nilearn", "numpy", "nibabel"], SpatialReference=params.reference
    )
    prefix = out.table.removesuffix("_desc-localizer_contrasts.tsv") + f"_space-{params.space}"
    contrast_maps.write(maps, mask, affine, prefix=prefix, about=about)
    meanings = {name: str(one) for name, one in wanted.items()}
    tables.write_tsv(out.table, contrast_maps.table(meanings, fits, maps, left_out))
    tables.write_json(tables.sidecar(out.table), about(**contrast_maps.MEANINGS))
    told = {"Contrasts": meanings, "Runs": stems, "Designs": designs, "LeftOut": left_out}
    arrays.save_named(out.estimates, **fits.packed())
    tables.write_json(out.info, about(**told))
