"""Compare the variants of one session in one region, with bootstrap intervals."""

import numpy as np

from mebold.anat import labels
from mebold.compare import session, tables
from mebold.figures.rois import visual_roi
from mebold.figures.style import save
from mebold.files import arrays, images, model, series
from mebold.files.tables import read_json, read_tsv, write_tsv
from mebold.jobs import sidecar
from mebold.jobs.script import job, owner
from mebold.noiseceiling.ceilings import runs_of
from mebold.rois import compared, masks

with job(snakemake):
    params, files, out = snakemake.params, snakemake.input, snakemake.output
    mask, affine = images.load_mask(files.mask)
    whole_brain = images.load_mask(files.brain)[0]
    brain = whole_brain[mask]
    quality = dict(zip(params.variants, map(arrays.load_named, files.quality), strict=True))
    settings, source, given = params.settings, params.roi["source"], None
    if compared.is_mask(source, params.variants):
        given = masks.on_grid(*images.load_mask(source), mask, affine, name=source)
    scores = {variant: found["score"] for variant, found in quality.items()}
    grey = np.round(images.load(files.dseg)[0][mask]) == labels.GM
    known = {"quality": quality, "brain": brain, "trials": read_tsv(files.trials[0])}
    known["summaries"] = dict(zip(params.variants, map(read_json, files.summaries), strict=True))
    known |= {"zscore": params.zscore, "seed": params.seed, "threshold": params.roi["threshold"]}
    with model.open_models(files.models) as models:
        betas = {v: one["betas"] for v, one in zip(params.variants, models, strict=True)}
        runs = runs_of(known["trials"])
        known["seen"] = {v: session.voxels_with_data(b, runs) for v, b in betas.items()}
        everywhere = brain & np.all(list(known["seen"].values()), axis=0)
        region = compared.choose(scores, brain=everywhere, grey=grey, given=given, **params.roi)
        known |= {"roi": region.mask, "n_resamples": settings["n_bootstrap"]}
        results = session.evaluate_variants(betas, **known)
    names = {key: value or "n/a" for key, value in params.run.items()}
    write_tsv(out.metrics, tables.comparison_table(results, **names))
    names["references"] = tables.compared_only([settings["baseline"], params.primary], results)
    write_tsv(out.paired, tables.difference_table(results, **names))
    space = {"SpatialReference": params.reference, "Description": region.about}
    space |= {"RegionFallback": region.fallback, "VoxelsByVariant": region.voxels}
    about = sidecar.Sidecar(snakemake, packages=["numpy", "scipy"], **space)
    series.save_map(out.roi, region.mask, mask, affine, dtype=np.uint8, metadata=about(Type="ROI"))
    series.save_map(out.score, region.score, mask, affine, metadata=about(Units="t"))
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn |= {"roi": series.unmask(region.mask, mask), "threshold": params.roi["threshold"]}
    drawn |= {"mask": whole_brain, "title": f"Visually responsive voxels, {owner(snakemake)}"}
    save(visual_roi(series.unmask(region.score, mask), affine, **drawn), out.figure)
