"""Remove thermal noise from one echo of a run."""

from mebold import derivatives, figures, nifti, nordic, nordic_files, nordic_record
from mebold.jobs import job

with job(snakemake) as log:
    inputs, params, out = snakemake.input, snakemake.params, snakemake.output
    volumes = nifti.read_json(inputs.volumes)
    with nordic_record.noting(log.warning) as notes:
        echo = nordic_files.read_echo(
            *(*inputs.magnitude, *inputs.phase),
            noise_scans=inputs.norf,
            noise_volumes=volumes["NoiseVolumes"],
            origin=volumes["NoiseVolumesOrigin"],
        )
        result = nordic.nordic(
            echo.magnitude,
            echo.phase,
            noise_volumes=echo.noise_volumes,
            gfactor=nordic_files.read_noise_map(*inputs.noise_map, echo=echo),
            trim_noise_volumes=True,
            n_threads=snakemake.threads,
            **params.options,
        )
    before, head = nordic_record.before_and_head(echo, result)
    made = nordic_record.record(echo, result, notes, head, noise_map=params.noise_map)
    log.info("%s\n%s", nordic.PATENT, words := nordic_record.summary(echo, made))
    about = derivatives.Sidecar(snakemake, packages=nordic_record.PACKAGES)
    sidecar = about(**derivatives.echo_metadata(params.run), **made)
    for part in ("magnitude", "phase") if params.options["with_phase"] else ("magnitude",):
        data = getattr(result, part)
        nifti.save(out[part], data, echo.affine, tr=params.run["tr"], metadata=sidecar)
    maps = {name: getattr(result, name) for name in nordic_record.MAPS}
    for name, units in nordic_record.MAPS.items():
        nifti.save(out[name], maps[name], echo.affine, metadata=about(Units=units))
    maps.pop("noise_sd")
    title = f"NORDIC, {params.run['stem']}{snakemake.wildcards.echo}"
    lines = [words, *(f"Warning: {note}" for note in notes)]
    texts = {"title": title, "subtitle": "\n".join(lines)}
    figure = figures.nordic_qc(before, result.magnitude, echo.affine, mask=head, **maps, **texts)
    figures.save(figure, out.figure)
