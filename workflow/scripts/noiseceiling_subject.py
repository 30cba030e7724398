"""Noise ceilings of one subject over all sessions, and the mean R2 that readers mask with."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import save
from mebold.files import images, series, tables
from mebold.files.model import open_models
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.noiseceiling import ceilings, maps

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    trials = [tables.read_tsv(path) for path in files.trials]
    chosen = {"selections": maps.subject_selections(params.settings["groups"])}
    chosen["zscore"] = params.settings["subject_zscore"]
    chosen |= {"seed": params.seed, **params.null}
    with open_models(files.models) as models:
        found, chance = ceilings.with_chance([model["betas"] for model in models], trials, **chosen)
        r2, clear = maps.mean_r2([model["r2"][:] for model in models])
    space = {"SpatialReference": params.reference, "ZscoredWithin": chosen["zscore"]}
    about = sidecar.Sidecar(snakemake, packages=["numpy", "scipy", "h5py"], **space)
    masks = {"Allrep": out.significant, "DifferentRuns": out.between_significant}
    for path, (name, ceiling) in zip([*out.groups, out.between], found.items(), strict=True):
        said = about(ImagesPerRepeatCount=ceiling.repeats, **maps.by_chance(chance[name], ceiling))
        percent, mark = said | {"Units": "percent"}, said | {"Type": "ROI"}
        series.save_map(path, ceiling.nc, mask, affine, metadata=percent)
        if name in masks:
            above = chance[name].significant
            series.save_map(masks[name], above, mask, affine, dtype=np.uint8, metadata=mark)
    every = found["Allrep"]
    series.save_map(out.ncsnr, every.ncsnr, mask, affine, metadata=about(Units="1"))
    series.save_map(out.r2mean, r2, mask, affine, metadata=about(Units="percent"))
    region = {"dtype": np.uint8, "metadata": about(Type="ROI")}
    series.save_map(out.r2mask, clear, mask, affine, **region)
    tables.write_json(out.summary, about(**maps.summary(trials, found)))
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn["threshold"] = chance["Allrep"].threshold
    drawn["subtitle"] = f"{snakemake.wildcards.subtask}, {len(trials)} sessions, all repeats"
    percent = series.unmask(np.nan_to_num(every.nc), mask)
    save(noise_ceiling(percent, affine, mask=mask, **drawn), out.figure)
