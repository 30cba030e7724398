"""Choose the reference image of a run and estimate head motion against it."""

from mebold.anat import bias, epi_mask
from mebold.figures.hmc import motion_traces
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.hmc import record, reference
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.nordic import noise_volumes
from mebold.registration import doubts, rigid

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    run, limit = params.run, params.settings["outlier_mm"]
    series, affine = images.load(files.bold[run["hmc_echo"]])
    noise, origin = noise_volumes.count_noise_volumes(series, params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    other, n_volumes = series, series.shape[3] - noise
    if run["hmc_echo"] != run["reference_echo"] and not (files.sbref and files.motion_sbref):
        other = images.load(files.bold[run["reference_echo"]])[0]
    echoes = [data[..., :n_volumes] for data in (series, other)]
    sbrefs = {
        k: images.load_volume(files[k]) if files[k] else None for k in ("sbref", "motion_sbref")
    }
    known = {"brain_of": epi_mask.epi_mask, "bias_of": bias.receive_bias}
    known |= {"widths": rigid.smoothing(affine, params.settings), "n_threads": snakemake.threads}
    boldref, grid, mask, motion, to_series, quality = reference.refer(
        *echoes, affine, **sbrefs, **known
    )
    found = doubts.of(quality, params.limits, doubts.SBREF)
    for doubt in found:
        log.warning("reference image and series: %s", doubt)
    centre = record.centre_of(mask, grid)
    table, flags = record.motion_record(motion, centre, outlier_mm=limit)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    images.save(out.boldref, boldref, grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    transforms.save_xfm(out.motion, motion.matrices)
    tables.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin, "Volumes": n_volumes}
    volumes |= {"BoldrefToSeries": to_series, "Quality": quality, "Warnings": found}
    tables.write_json(out.volumes, about(**volumes, Centre=centre, **flags))
    traces = {"tr": run["tr"], "threshold_mm": limit, "title": run["stem"]}
    save(motion_traces(*record.traces(table), **traces), out.figure)
