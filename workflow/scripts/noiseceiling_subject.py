"""Noise ceilings of one subject over all sessions, and the mean R2 that readers mask with."""

import contextlib

import numpy as np

from mebold import derivatives, figures, model_file, nifti, noiseceiling, series
from mebold.jobs import job

with job(snakemake):
    mask, affine = nifti.load_mask(snakemake.input.mask)
    t1w, t1w_affine = nifti.load(snakemake.input.t1w)
    settings, out = snakemake.params.settings, snakemake.output
    trials = [nifti.read_tsv(path) for path in snakemake.input.trials]
    selections = {
        name: noiseceiling.Selection(exact_repeats=count)
        for name, count in settings["groups"].items()
    }
    selections["Allrep"] = noiseceiling.Selection()
    selections["between"] = noiseceiling.Selection(pairs="different_runs")
    level = settings["subject_zscore"]
    with contextlib.ExitStack() as stack:
        models = [stack.enter_context(model_file.open_model(p)) for p in snakemake.input.models]
        found = noiseceiling.noise_ceilings(
            [model["betas"] for model in models],
            [table["label"].tolist() for table in trials],
            runs=[table["run"].astype(str).tolist() for table in trials],
            selections=selections,
            zscore=None if level == "none" else level,
        )
        # Zero where any session has no finite fit: readers mask with R2mean > 0.
        r2 = np.nan_to_num(np.mean([model["r2"][:] for model in models], axis=0))
    about = derivatives.Sidecar(
        snakemake,
        packages=["numpy", "h5py"],
        SpatialReference="T1w of the subject",
        ZscoredWithin=level,
    )

    def volume_of(values):
        return series.unmask(np.nan_to_num(values).astype(np.float32), mask)

    names = [*settings["groups"], "Allrep", "between"]
    for name, path in zip(names, [*out.groups, out.between], strict=True):
        images = {"ImagesPerRepeatCount": found[name].repeats, "Units": "percent"}
        nifti.save(path, volume_of(found[name].nc), affine, metadata=about(**images))
    nifti.save(out.ncsnr, volume_of(found["Allrep"].ncsnr), affine, metadata=about(Units="1"))
    nifti.save(out.r2mean, volume_of(r2), affine, metadata=about(Units="percent"))
    nifti.save(out.r2mask, volume_of(r2 > 15), affine, dtype="uint8", metadata=about(Type="ROI"))
    summary = {
        "Sessions": len(trials),
        "Trials": [len(table) for table in trials],
        "ImagesPerRepeatCount": {name: found[name].repeats for name in names},
    }
    nifti.write_json(out.summary, about(**summary))
    figure = figures.noise_ceiling(
        volume_of(found["Allrep"].nc),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        subtitle=f"{snakemake.wildcards.subtask}, {len(trials)} sessions, all repeats",
    )
    figures.save(figure, out.figure)
