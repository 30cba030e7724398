"""Remove thermal noise from one echo of a run."""

from mebold.figures.nordic import nordic_qc
from mebold.figures.style import save
from mebold.files import images, metadata, tables
from mebold.jobs.script import job
from mebold.jobs.sidecar import Sidecar
from mebold.nordic import denoise, record
from mebold.nordic.echo import read_echo, read_noise_map

with job(snakemake) as log:
    inputs, params, out = snakemake.input, snakemake.params, snakemake.output
    volumes = tables.read_json(inputs.volumes)
    noise = {"noise_volumes": volumes["NoiseVolumes"], "origin": volumes["NoiseVolumesOrigin"]}
    with record.noting(log.warning) as notes:
        echo = read_echo(*inputs.magnitude, *inputs.phase, noise_scans=inputs.norf, **noise)
        result = denoise.nordic(
            echo.magnitude,
            echo.phase,
            noise_volumes=echo.noise_volumes,
            gfactor=read_noise_map(*inputs.noise_map, echo=echo),
            trim_noise_volumes=True,
            n_threads=snakemake.threads,
            **params.options,
        )
    before, head = record.before_and_head(echo, result)
    made = record.record(echo, result, notes, head, noise_map=params.noise_map)
    log.info("%s\n%s", record.PATENT, words := record.summary(echo, made))
    about = Sidecar(snakemake, packages=record.PACKAGES)
    sidecar = about(**metadata.echo_metadata(params.run), **made)
    for part in ("magnitude", "phase") if params.options["with_phase"] else ("magnitude",):
        data = getattr(result, part)
        images.save(out[part], data, echo.affine, tr=params.run["tr"], metadata=sidecar)
    for name, units in record.MAPS.items():
        images.save(out[name], getattr(result, name), echo.affine, metadata=about(Units=units))
    maps = {name: getattr(result, name) for name in record.DRAWN}
    texts = {"title": f"NORDIC, {params.run['stem']}{snakemake.wildcards.echo}"}
    texts["subtitle"] = "\n".join([words, *(f"Warning: {note}" for note in notes)])
    figure = nordic_qc(before, result.magnitude, echo.affine, mask=head, **maps, **texts)
    save(figure, out.figure)
