"""Noise ceilings of one subject over all sessions, and the mean R2 that readers mask with."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import PRINT_DPI, save
from mebold.files import images, series, tables
from mebold.files.model import open_models
from mebold.jobs import ceiling_parts, coverage, sidecar
from mebold.jobs.script import job, owner
from mebold.noiseceiling import ceilings, maps

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    trials = [tables.read_tsv(path) for path in files.trials]
    selections = maps.subject_selections(params.settings["groups"])
    chosen = {"zscore": params.settings["subject_zscore"], "seed": params.seed, **params.null}
    with open_models(files.models) as models:
        betas = [model["betas"] for model in models]
        found, chance = ceilings.with_chance(betas, trials, selections=selections, **chosen)
        r2, clear = maps.mean_r2([model["r2"][:] for model in models])
    space = {"SpatialReference": params.reference, "ZscoredWithin": chosen["zscore"]}
    space |= coverage.known(out.coverage)
    about = sidecar.Sidecar(snakemake, packages=["numpy", "scipy", "h5py"], **space)
    coverage.save_known(out.coverage, np.isfinite(r2), mask, affine, about=about)
    every, null = found["Allrep"], chance["Allrep"]
    said = about(ImagesPerRepeatCount=every.repeats, **maps.by_chance(null, every))
    percent, mark = said | {"Units": "percent"}, about(Type="ROI")
    series.save_map(out.nc, every.nc, mask, affine, metadata=percent)
    region = {"dtype": np.uint8, "metadata": said | mark}
    series.save_map(out.significant, null.significant, mask, affine, **region)
    series.save_map(out.ncsnr, every.ncsnr, mask, affine, metadata=about(Units="1"))
    series.save_map(out.r2mean, r2, mask, affine, metadata=about(Units="percent"))
    series.save_map(out.r2mask, clear, mask, affine, dtype=np.uint8, metadata=mark)
    ceiling_parts.save(out.parts, found, chance, about=about)
    tables.write_json(out.summary, about(**maps.summary(trials, found, selections)))
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn |= {"title": f"Noise ceiling, {owner(snakemake)}", "threshold": null.threshold}
    drawn["subtitle"] = f"{len(trials)} session{'s' * (len(trials) > 1)}, all repeats"
    shown = series.unmask(np.nan_to_num(every.nc), mask)
    drawn["significant"] = series.unmask(np.asarray(null.significant, np.uint8), mask)
    save(noise_ceiling(shown, affine, mask=mask, **drawn), out.figure, dpi=PRINT_DPI)
