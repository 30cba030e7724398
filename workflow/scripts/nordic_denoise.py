"""Remove thermal noise from all echoes of a run."""

from pathlib import Path

import numpy as np

from mebold import derivatives, figures, nifti, nordic
from mebold.jobs import job

with job(snakemake) as log:
    settings, run = dict(snakemake.params.settings), snakemake.params.run
    noise = nifti.read_json(snakemake.input.volumes)["NoiseVolumes"]
    share = settings.pop("share_gfactor")
    settings.pop("noise_volumes")
    phase_range = snakemake.params.phase_range
    fixed = {"phase_range": None if phase_range == "auto" else tuple(phase_range)}
    options = {**settings, **fixed, "seed": snakemake.params.seed, "n_threads": snakemake.threads}
    echoes = []
    for index, path in enumerate(snakemake.input.magnitude):
        magnitude, affine = nifti.load(path)
        phase = nifti.load(snakemake.input.phase[index])[0] if snakemake.input.phase else None
        echoes.append((magnitude, phase))
    gfactor = None
    if share and len(echoes) > 1:
        gfactor = nordic.shared_gfactor(echoes, noise_volumes=noise, **options)
    folder = Path(snakemake.output.series)
    records, shown = [], None
    for index, (magnitude, phase) in enumerate(echoes):
        result = nordic.nordic(magnitude, phase, noise_volumes=noise, gfactor=gfactor, **options)
        keep = magnitude.shape[3] - noise
        nifti.save(folder / f"echo-{index + 1}.nii", result.magnitude[..., :keep], affine)
        records.append(result.parameters)
        if index == run["single_echo"]:
            shown = result, magnitude[..., :keep]
    about = derivatives.Sidecar(snakemake, packages=["nibabel", "numpy", "scipy"])
    result, before = shown
    out = snakemake.output
    nifti.save(out.gfactor, result.gfactor, affine, metadata=about(Units="signal"))
    nifti.save(out.components, result.components_removed, affine, metadata=about(Units="count"))
    nifti.save(out.residual, result.residual_sd, affine, metadata=about(Units="signal"))
    nifti.write_json(out.info, about(Echoes=records, **nordic.LEGAL))
    after = result.magnitude[..., : before.shape[3]]
    figures.save(figures.nordic_qc(before, after, affine, gfactor=result.gfactor,
                 components=result.components_removed), out.figure)
