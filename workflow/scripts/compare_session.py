"""Compare the variants of one session in one region, with bootstrap intervals."""

import numpy as np

from mebold import (
    compare_tables,
    compare_variants,
    derivatives,
    figures,
    model_file,
    nifti,
    rois,
    series,
    variant_region,
)  # fmt: skip
from mebold.jobs import job

with job(snakemake):
    params, inputs, out = snakemake.params, snakemake.input, snakemake.output
    mask, affine = nifti.load_mask(inputs.mask)
    brain = nifti.load_mask(inputs.brain)[0][mask]
    quality = dict(zip(params.variants, map(np.load, inputs.quality), strict=True))
    summaries = dict(zip(params.variants, map(nifti.read_json, inputs.summaries), strict=True))
    scores = {variant: found["score"] for variant, found in quality.items()}
    chosen = {key: params.roi[key] for key in ("source", "threshold")}
    source, given = params.roi["source"], None
    if source not in ("consensus", *params.variants):
        given = rois.on_grid(*nifti.load_mask(source), mask, affine, name=source)
    region = variant_region.choose(scores, brain=brain, given=given, **chosen)
    with model_file.open_models(inputs.models) as models:
        results = compare_variants.evaluate_variants(
            {v: model["betas"] for v, model in zip(params.variants, models, strict=True)},
            trials=nifti.read_tsv(inputs.trials[0]),
            quality=quality,
            summaries=summaries,
            roi=region.mask,
            brain=brain,
            zscore=params.zscore,
            n_resamples=params.settings["n_bootstrap"],
            seed=params.seed,
        )
    names = {"subject": params.run["subject"], "session": params.run["session"] or "n/a"}
    references = [r for r in (params.settings["baseline"], params.primary) if r in results]
    metrics = compare_tables.comparison_table(results, **names)
    nifti.write_tsv(out.metrics, metrics)
    paired = compare_tables.difference_table(results, references=references, **names)
    nifti.write_tsv(out.paired, paired)
    space = {"SpatialReference": snakemake.params.reference, "Description": region.about}
    about = derivatives.Sidecar(snakemake, packages=["numpy", "scipy"], **space)
    series.save_map(out.roi, region.mask, mask, affine, dtype=np.uint8, metadata=about(Type="ROI"))
    series.save_map(out.score, region.score, mask, affine, metadata=about(Units="t"))
    t1w, t1w_affine = nifti.load(inputs.underlay)
    figure = figures.visual_roi(
        series.unmask(region.score, mask),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        roi=series.unmask(region.mask, mask),
        threshold=params.roi["threshold"],
    )
    figures.save(figure, out.figure)
