"""Estimate one noise map for all echoes of a run."""

from mebold import nifti, nordic, nordic_files
from mebold.jobs import job

with job(snakemake) as log:
    inputs, params = snakemake.input, snakemake.params
    volumes = nifti.read_json(inputs.volumes)
    affine = nifti.load_header(inputs.magnitude[0]).affine
    echoes = nordic_files.read_echoes(
        inputs.magnitude,
        inputs.phase,
        noise_scans=inputs.norf,
        noise_volumes=volumes["NoiseVolumes"],
        origin=volumes["NoiseVolumesOrigin"],
    )
    gfactor = nordic.shared_gfactor(
        ((echo.magnitude, echo.phase) for echo in echoes),
        n_threads=snakemake.threads,
        **params.options,
    )
    nifti.save(snakemake.output.gfactor, gfactor, affine)
    log.info("pooled over %d echoes", len(inputs.magnitude))
