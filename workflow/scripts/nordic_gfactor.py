"""Estimate one noise map for all echoes of a run."""

from mebold.files import images, tables
from mebold.jobs.script import job
from mebold.nordic import denoise
from mebold.nordic.echo import read_echoes

with job(snakemake) as log:
    inputs, params = snakemake.input, snakemake.params
    volumes = tables.read_json(inputs.volumes)
    affine = images.load_header(inputs.magnitude[0]).affine
    echoes = read_echoes(
        inputs.magnitude,
        inputs.phase,
        noise_scans=inputs.norf,
        noise_volumes=volumes["NoiseVolumes"],
        origin=volumes["NoiseVolumesOrigin"],
    )
    gfactor = denoise.shared_gfactor(
        ((echo.magnitude, echo.phase) for echo in echoes),
        n_threads=snakemake.threads,
        **params.options,
    )
    images.save(snakemake.output.gfactor, gfactor, affine)
    log.info("pooled over %d echoes", len(inputs.magnitude))
