"""Compare the variants of one session in one region, with bootstrap intervals."""

import numpy as np

from mebold.compare import session
from mebold.compare.tables import comparison_table, difference_table
from mebold.figures.rois import visual_roi
from mebold.figures.style import save
from mebold.files import images, series
from mebold.files.model import open_models
from mebold.files.tables import read_json, read_tsv, write_tsv
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.rois import compared, masks

with job(snakemake):
    params, inputs, out = snakemake.params, snakemake.input, snakemake.output
    mask, affine = images.load_mask(inputs.mask)
    brain = images.load_mask(inputs.brain)[0][mask]
    quality = dict(zip(params.variants, map(np.load, inputs.quality), strict=True))
    summaries = dict(zip(params.variants, map(read_json, inputs.summaries), strict=True))
    scores = {variant: found["score"] for variant, found in quality.items()}
    chosen = {key: params.roi[key] for key in ("source", "threshold")}
    source, given = params.roi["source"], None
    if source not in ("consensus", *params.variants):
        given = masks.on_grid(*images.load_mask(source), mask, affine, name=source)
    region = compared.choose(scores, brain=brain, given=given, **chosen)
    with open_models(inputs.models) as models:
        results = session.evaluate_variants(
            {v: model["betas"] for v, model in zip(params.variants, models, strict=True)},
            trials=read_tsv(inputs.trials[0]),
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
    metrics = comparison_table(results, **names)
    write_tsv(out.metrics, metrics)
    paired = difference_table(results, references=references, **names)
    write_tsv(out.paired, paired)
    space = {"SpatialReference": snakemake.params.reference, "Description": region.about}
    about = sidecar.Sidecar(snakemake, packages=["numpy", "scipy"], **space)
    series.save_map(out.roi, region.mask, mask, affine, dtype=np.uint8, metadata=about(Type="ROI"))
    series.save_map(out.score, region.score, mask, affine, metadata=about(Units="t"))
    t1w, t1w_affine = images.load(inputs.underlay)
    figure = visual_roi(
        series.unmask(region.score, mask),
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        roi=series.unmask(region.mask, mask),
        threshold=params.roi["threshold"],
    )
    save(figure, out.figure)
