"""Compare the variants of one session in one region, with bootstrap intervals."""

import numpy as np

from mebold import (
    compare,
    compare_tables,
    derivatives,
    figures,
    model_file,
    nifti,
    rois,
    series,
    variant_region,
)
from mebold.jobs import job

with job(snakemake) as log:
    variants, settings = snakemake.params.variants, snakemake.params.settings
    mask, affine = nifti.load_mask(snakemake.input.mask)
    brain = nifti.load_mask(snakemake.input.brain)[0][mask]
    t1w, t1w_affine = nifti.load(snakemake.input.t1w)
    quality = [dict(np.load(path)) for path in snakemake.input.quality]
    source, given = snakemake.params.roi["source"], None
    if source not in ("consensus", *variants):
        volume, own = nifti.load_mask(source)
        rois.check_grid(
            volume.shape, own, mask.shape, affine, name=source, reference_name="the output grid"
        )
        given = rois.roi_vector(volume, mask, name=source).astype(bool)
    scores = dict(zip(variants, (q["score"] for q in quality), strict=True))
    region = variant_region.choose(scores, brain=brain, given=given, **snakemake.params.roi)
    trials = nifti.read_tsv(snakemake.input.trials[0])
    labels, runs = trials["label"].to_numpy(), trials["run"].astype(str).to_numpy()
    cells, resamples = compare.prepare(
        labels, runs, n_resamples=settings["n_bootstrap"], seed=snakemake.params.seed
    )
    results = {}
    for variant, path, measured, summary in zip(
        variants, snakemake.input.models, quality, snakemake.input.summaries, strict=True
    ):
        with model_file.open_model(path) as model:
            results[variant] = compare.evaluate(
                np.nan_to_num(model["betas"][:]),
                labels=labels,
                runs=runs,
                roi=region.mask,
                cells=cells,
                resamples=resamples,
                brain=brain,
                tsnr=measured["tsnr"],
                fwhm=measured["fwhm"],
                zscore=snakemake.params.zscore,
                n_components=nifti.read_json(summary)["NoiseComponents"],
            )
    names = {
        "subject": snakemake.params.run["subject"],
        "session": snakemake.params.run["session"] or "n/a",
    }
    references = list(dict.fromkeys([settings["baseline"], snakemake.params.primary]))
    out = snakemake.output
    nifti.write_tsv(out.metrics, compare_tables.comparison_table(results, **names))
    nifti.write_tsv(
        out.paired,
        compare_tables.difference_table(
            results, references=[r for r in references if r in results], **names
        ),
    )
    about = derivatives.Sidecar(
        snakemake, packages=["numpy", "scipy"], SpatialReference="T1w of the subject"
    )
    roi = series.unmask(region.mask, mask, fill=False)
    nifti.save(
        out.roi, roi, affine, dtype="uint8", metadata=about(Type="ROI", Description=region.about)
    )
    score = series.unmask(region.score.astype(np.float32), mask)
    nifti.save(out.score, score, affine, metadata=about(Units="t", Description=region.about))
    figure = figures.visual_roi(
        score,
        affine,
        t1w=t1w,
        t1w_affine=t1w_affine,
        mask=mask,
        roi=roi,
        threshold=snakemake.params.roi["threshold"],
    )
    figures.save(figure, out.figure)
