"""Choose the reference image of a run and estimate head motion against it."""

import numpy as np

from mebold.anat import bias, epi_mask
from mebold.figures.hmc import motion_traces
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.hmc import record, reference, track
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.nordic import noise_volumes
from mebold.registration import doubts, rigid

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    run, settings = params.run, params.settings
    series, affine = images.load(files.bold[run["hmc_echo"]])
    noise, origin = noise_volumes.count_noise_volumes(series, params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    n_volumes = series.shape[3] - noise
    series, widths = series[..., :n_volumes], rigid.smoothing(affine, settings)
    same_echo = run["hmc_echo"] == run["reference_echo"] or files.motion_sbref
    other = series
    if not (files.sbref and same_echo):
        other = images.load(files.bold[run["reference_echo"]])[0][..., :n_volumes]
    known = {"widths": widths, "n_threads": snakemake.threads}
    if files.sbref:
        boldref, grid = images.load_volume(files.sbref)
        known["mask"] = mask = epi_mask.epi_mask(boldref, grid)
        sbref = images.load_volume(files.motion_sbref)[0] if files.motion_sbref else boldref
        coil = bias.receive_bias(sbref, grid)
        motion, link = reference.motion_from_sbref(
            series, other, affine, sbref, grid, bias=coil, **known
        )
        to_series, quality = link.matrix, link.quality
    else:
        boldref, grid = track.robust_mean(other, affine, fwhm_mm=widths["fwhm_mm"]), affine
        known["mask"] = mask = epi_mask.epi_mask(boldref, grid)
        to_series, quality = np.eye(4), {}
        motion = reference.motion_from(
            series, affine, to_series=to_series, mask_affine=grid, **known
        )
    found = doubts.of(quality, params.limits, doubts.COREG)
    for doubt in found:
        log.warning("reference image and series: %s", doubt)
    centre = record.centre_of(mask, grid)
    table, flags = record.motion_record(motion, centre, outlier_mm=settings["outlier_mm"])
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    images.save(out.boldref, boldref, grid, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, grid, dtype="uint8", metadata=about(Type="Brain"))
    transforms.save_xfm(out.motion, motion.matrices)
    tables.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin, "Volumes": n_volumes}
    volumes |= {"BoldrefToSeries": to_series, "Quality": quality, "Warnings": found}
    tables.write_json(out.volumes, about(**volumes, Centre=centre, **flags))
    traces = {"tr": run["tr"], "threshold_mm": settings["outlier_mm"], "title": run["stem"]}
    save(motion_traces(*record.traces(table), **traces), out.figure)
