"""Denoise a run with tedana's ICA; a failed decomposition falls back to the optimal combination."""

from pathlib import Path

from mebold.files import arrays, atomic, images, series, tables
from mebold.jobs.script import job
from mebold.multiecho import early, ica

with job(snakemake) as log:
    run, settings = snakemake.params.run, snakemake.params.settings
    mask, affine = images.load_mask(snakemake.input.mask)
    fit = arrays.load_named(snakemake.input.fit)
    samples = tables.read_json(snakemake.input.samples)
    left_out = {"early": samples["NonSteadyStateSamples"]}
    acquired = run["n_acquired"] and run["n_acquired"] - samples["NonSteadyStateVolumes"]
    optcom = series.open(snakemake.input.optcom)
    with atomic.atomic_folder(snakemake.output.report) as report:
        result = ica.denoise(
            series.open(snakemake.input.store)[..., left_out["early"] :],
            run["echo_times"],
            optcom=optcom[:, left_out["early"] :],
            mask=mask,
            brain=images.load_mask(snakemake.input.brain)[0],
            affine=affine,
            tr=run["tr_out"],
            n_acquired=acquired,
            out_dir=report,
            prefix=run["stem"],
            t2star=fit["t2star"],
            decomposed=fit["adaptive_mask"] >= 3,
            seed=snakemake.params.seed,
            n_threads=snakemake.threads,
            **settings,
        )
    with series.writing(snakemake.output.store, optcom.shape) as out:
        out[:] = early.restored(result.denoised, optcom, **left_out)
    outcome = result.outcome | {"n_samples_left_out": left_out["early"]}
    if result.mixing is not None:
        stem = Path(snakemake.output.info).parent / run["stem"]
        tables.write_tsv(f"{stem}_desc-ICA_mixing.tsv", early.padded(result.mixing, **left_out))
        tables.write_tsv(f"{stem}_desc-tedana_metrics.tsv", result.metrics)
    # Last: with all of its outputs a job counts as done, and the workflow does not know the tables.
    tables.write_json(snakemake.output.info, outcome)
