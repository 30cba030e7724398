"""Remove thermal noise from all echoes of a run."""

from pathlib import Path

from mebold import derivatives, figures, foreground, nifti, nordic
from mebold.jobs import job

with job(snakemake) as log:
    settings, run = dict(snakemake.params.settings), snakemake.params.run
    noise = nifti.read_json(snakemake.input.volumes)["NoiseVolumes"]
    share, _ = settings.pop("share_gfactor"), settings.pop("noise_volumes")
    wanted = snakemake.params.phase_range
    settings |= {
        "phase_range": None if wanted == "auto" else wanted,
        "n_threads": snakemake.threads,
    }
    both = ("temporal_phase", "phase_filter_width", "gfactor_volumes", "phase_range", "n_threads")
    echoes, affine = [], None
    for index, path in enumerate(snakemake.input.magnitude):
        magnitude, affine = nifti.load(path)
        phase = nifti.load(snakemake.input.phase[index])[0] if snakemake.input.phase else None
        echoes.append((magnitude, phase))
    gfactor = None
    if share and len(echoes) > 1:
        gfactor = nordic.shared_gfactor(echoes, **{key: settings[key] for key in both})
    records, shown = [], None
    for index, (magnitude, phase) in enumerate(echoes):
        result = nordic.nordic(
            magnitude,
            phase,
            noise_volumes=noise,
            gfactor=gfactor,
            seed=snakemake.params.seed,
            trim_noise_volumes=True,
            with_phase=False,
            **settings,
        )
        name = Path(snakemake.output.series) / f"echo-{index + 1}.nii"
        nifti.save(name, result.magnitude, affine)
        numbers = ("threshold", "noise_level", "kernel_size", "phase_range", "noise_volumes")
        records.append({key: getattr(result, key) for key in numbers})
        if index == run["single_echo"]:
            shown = result, magnitude[..., : result.magnitude.shape[3]]
    result, before = shown
    about = derivatives.Sidecar(snakemake, packages=["nibabel", "numpy", "scipy"])
    out, after = snakemake.output, result.magnitude
    nifti.save(out.gfactor, result.gfactor, affine, metadata=about(Units="signal"))
    nifti.save(out.components, result.components_removed, affine, metadata=about(Units="count"))
    nifti.save(out.residual, result.residual_sd, affine, metadata=about(Units="signal"))
    nifti.write_json(
        out.info,
        about(
            Echoes=records,
            Complex=bool(snakemake.input.phase),
            Patent=nordic.PATENT,
            ReferencesAndLinks=nordic.CITATIONS,
        ),
    )
    figure = figures.nordic_qc(
        before,
        after,
        affine,
        gfactor=result.gfactor,
        components=result.components_removed,
        mask=foreground.foreground_mask(before.mean(axis=3)),
        subtitle=run["stem"],
    )
    figures.save(figure, out.figure)
