"""Choose the reference image of a run and estimate head motion against it."""

from mebold.anat import bias, epi_mask
from mebold.figures.hmc import motion_traces
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.hmc import record, reference, steady, trust, view
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.nordic import noise_volumes
from mebold.registration import doubts, rigid

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    run, settings = params.run, params.settings
    series, affine = images.load(files.bold[run["hmc_echo"]])
    noise, origin = noise_volumes.count_noise_volumes(series, params.noise_volumes)
    other, n_volumes = series, series.shape[3] - noise
    if run["hmc_echo"] != run["reference_echo"] and not (files.sbref and files.motion_sbref):
        other = images.load(files.bold[run["reference_echo"]])[0]
    echoes = [data[..., :n_volumes] for data in (series, other)]
    early, how = steady.non_steady(echoes[0], affine, **steady.options(settings))
    log.info("noise volumes at the end: %d; not steady at the start: %d", noise, early)
    known = {"brain_of": epi_mask.epi_mask, "bias_of": bias.receive_bias}
    for key in ("sbref", "motion_sbref"):
        known[key] = images.load_volume(files[key]) if files[key] else None
    known |= {"widths": rigid.smoothing(affine, settings), "n_threads": snakemake.threads}
    known |= {"trust": trust.of(settings), "non_steady": early}
    boldref, grid, mask, motion, to_series, quality = reference.refer(*echoes, affine, **known)
    found = doubts.of(quality, params.limits, doubts.SBREF)
    found += view.doubts(mask, grid, motion.matrices, series.shape, affine, settings)
    for doubt in found:
        log.warning("%s: %s", run["stem"], doubt)
    centre, options = record.centre_of(mask, grid), {"outlier_mm": settings["outlier_mm"]}
    table, about = record.motion_record(motion, centre, **options, non_steady=early)
    about |= {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin, "Volumes": n_volumes}
    about |= {"NonSteadyStateVolumes": early, "NonSteadyStateOrigin": how, "Centre": centre}
    about |= {"BoldrefToSeries": to_series, "Quality": quality, "Warnings": found}
    made = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    images.save(out.boldref, boldref, grid, metadata=made(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=made(Type="Brain"))
    transforms.save_xfm(out.motion, motion.matrices)
    tables.write_tsv(out.table, table)
    tables.write_json(out.volumes, made(**about, **record.COLUMNS))
    traces = {"tr": run["tr"], "threshold_mm": settings["outlier_mm"], "title": run["stem"]}
    traces |= {"match": record.match(table), "doubtful": motion.doubtful, "non_steady": early}
    save(motion_traces(*record.traces(table), **traces), out.figure)
