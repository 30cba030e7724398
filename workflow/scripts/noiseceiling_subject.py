"""Noise ceilings of one subject over all sessions, and the mean R2 that readers mask with."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import save
from mebold.files import images, series, tables
from mebold.files.model import open_models
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.noiseceiling import ceilings

with job(snakemake):
    mask, affine = images.load_mask(snakemake.input.mask)
    t1w, t1w_affine = images.load(snakemake.input.underlay)
    settings, out = snakemake.params.settings, snakemake.output
    trials = [tables.read_tsv(path) for path in snakemake.input.trials]
    selections = ceilings.subject_selections(settings["groups"])
    level = settings["subject_zscore"]
    with open_models(snakemake.input.models) as models:
        betas = [model["betas"] for model in models]
        found = ceilings.of_trials(betas, trials, selections=selections, zscore=level)
        # Not finite, hence 0, where any session has no fit: readers mask with R2mean > 0.
        r2 = np.mean([model["r2"][:] for model in models], axis=0)
    about = sidecar.Sidecar(
        snakemake,
        packages=["numpy", "h5py"],
        SpatialReference=snakemake.params.reference,
        ZscoredWithin=level,
    )
    for path, ceiling in zip([*out.groups, out.between], found.values(), strict=True):
        metadata = about(ImagesPerRepeatCount=ceiling.repeats, Units="percent")
        series.save_map(path, ceiling.nc, mask, affine, metadata=metadata)
    all_repeats = found["Allrep"]
    series.save_map(out.ncsnr, all_repeats.ncsnr, mask, affine, metadata=about(Units="1"))
    series.save_map(out.r2mean, r2, mask, affine, metadata=about(Units="percent"))
    above = {"dtype": np.uint8, "metadata": about(Type="ROI")}
    series.save_map(out.r2mask, r2 > 15, mask, affine, **above)
    summary = {
        "Sessions": len(trials),
        "Trials": [len(table) for table in trials],
        "ImagesPerRepeatCount": {name: ceiling.repeats for name, ceiling in found.items()},
    }
    tables.write_json(out.summary, about(**summary))
    figure = noise_ceiling(
        series.unmask(np.nan_to_num(all_repeats.nc), mask),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        subtitle=f"{snakemake.wildcards.subtask}, {len(trials)} sessions, all repeats",
    )
    save(figure, out.figure)
