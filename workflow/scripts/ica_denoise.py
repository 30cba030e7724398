"""Denoise a run with tedana's ICA; a failed decomposition falls back to the optimal combination."""

from pathlib import Path

from mebold.files import arrays, atomic, images, series, tables
from mebold.jobs.script import job
from mebold.multiecho import early, ica, undecomposed

with job(snakemake) as log:
    run, settings = snakemake.params.run, snakemake.params.settings
    mask, affine = images.load_mask(snakemake.input.mask)
    fit = arrays.load_named(snakemake.input.fit)
    samples = tables.read_json(snakemake.input.samples)
    left_out = {"early": samples["NonSteadyStateSamples"]}
    acquired = run["n_acquired"] and run["n_acquired"] - samples["NonSteadyStateVolumes"]
    fallback = series.open(snakemake.input.optcom)
    with atomic.atomic_folder(snakemake.output.report) as report:
        result = ica.denoise(
            series.open(snakemake.input.store)[..., left_out["early"] :],
            run["echo_times"],
            mask=mask,
            affine=affine,
            tr=run["tr_out"],
            n_acquired=acquired,
            out_dir=report,
            prefix=run["stem"],
            t2star=fit["t2star"],
            optcom=fallback[fit["adaptive_mask"] >= 3, left_out["early"] :],
            seed=snakemake.params.seed,
            n_threads=snakemake.threads,
            **settings,
        )
    with series.writing(snakemake.output.store, fallback.shape) as out:
        out[:] = early.restored(result.denoised, fallback, **left_out)
        filled = undecomposed.fill(out, fallback)
    outcome = result.outcome | {"n_samples_left_out": left_out["early"]}
    outcome["n_voxels_left_out"] = filled
    if result.mixing is not None:
        stem = Path(snakemake.output.info).parent / run["stem"]
        tables.write_tsv(f"{stem}_desc-ICA_mixing.tsv", early.padded(result.mixing, **left_out))
        tables.write_tsv(f"{stem}_desc-tedana_metrics.tsv", result.metrics)
    # Last: with all of its outputs a job counts as done, and the workflow does not know the tables.
    tables.write_json(snakemake.output.info, outcome)
