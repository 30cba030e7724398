"""Choose the reference image of a run and estimate head motion against it."""

from mebold.anat import epi_mask
from mebold.figures.hmc import motion_traces
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.hmc import record, track
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.nordic import noise_volumes
from mebold.registration import rigid

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    run, limit = params.run, params.settings["outlier_mm"]
    first, other = run["hmc_echo"], run["reference_echo"]
    series, affine = images.load(files.bold[first])
    noise, origin = noise_volumes.count_noise_volumes(series, params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    n_volumes = series.shape[3] - noise
    series = series[..., :n_volumes]
    widths = rigid.smoothing(affine, params.settings)
    sbref = {echo: images.load(files.sbref[echo]) for echo in (first, other) if files.sbref}
    second = None if sbref else images.load(files.bold[other])[0][..., :n_volumes]
    reference, grid = track.reference(series, affine, widths["fwhm_mm"], sbref=sbref.get(first))
    boldref, _ = track.reference(second, affine, widths["fwhm_mm"], sbref=sbref.get(other))
    mask = epi_mask.epi_mask(boldref, grid)
    options = {"reference_affine": grid, "mask": mask, "n_threads": snakemake.threads}
    motion = track.track(series, reference, affine, **widths, **options)
    centre = record.centre_of(mask, grid)
    table, flags = record.motion_record(motion, centre, outlier_mm=limit)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    images.save(out.boldref, boldref, grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    transforms.save_xfm(out.motion, motion.matrices)
    tables.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin, "Volumes": n_volumes}
    tables.write_json(out.volumes, about(**volumes, Centre=centre, **flags))
    traces = {"tr": run["tr"], "threshold_mm": limit, "title": run["stem"]}
    save(motion_traces(*record.traces(table), **traces), out.figure)
