"""Choose the reference image of a run and estimate head motion against it."""

from dataclasses import replace

import numpy as np

from mebold.anat import epi_mask
from mebold.figures.hmc import motion_traces
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.geometry import affines
from mebold.hmc import record, reference, track
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.nordic import noise_volumes
from mebold.registration import rigid

with job(snakemake) as log:
    run, settings = snakemake.params.run, snakemake.params.settings
    series, affine = images.load(snakemake.input.bold[run["hmc_echo"]])
    noise, origin = noise_volumes.count_noise_volumes(series, snakemake.params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    series = series[..., : series.shape[3] - noise]
    files, widths = snakemake.input, rigid.smoothing(affine, settings)
    sbref, other_sbref = (
        reference.Reference(*images.load_volume(path)) if path else None
        for path in (files.sbref, files.reference_sbref)
    )
    other = series
    if not other_sbref or not sbref:
        other = images.load(files.bold[run["reference_echo"]])[0][..., : series.shape[3]]
    chosen = reference.references(
        series, other, affine, sbref=sbref, other_sbref=other_sbref, smoothing=widths
    )
    boldref, reference_affine = chosen.boldref
    mask = epi_mask.epi_mask(boldref, reference_affine)
    bridged = bool(sbref) != bool(other_sbref)
    motion = track.track(
        series,
        chosen.motion.image,
        affine,
        reference_affine=chosen.motion.affine,
        mask=epi_mask.epi_mask(*chosen.motion) if bridged else mask,
        **widths,
        n_threads=snakemake.threads,
    )
    motion = replace(motion, matrices=motion.matrices @ chosen.to_motion)
    centre = affines.grid_points(mask.shape, reference_affine, mask).mean(axis=0)
    limit = settings["outlier_mm"]
    table, flags = record.motion_record(motion, centre, outlier_mm=limit)
    if flags["DoubtfulVolumes"]:
        log.warning("motion is doubtful in volumes %s", flags["DoubtfulVolumes"])
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    out = snakemake.output
    images.save(out.boldref, boldref, reference_affine, metadata=about(SkullStripped=False))
    images.save(out.mask, mask, reference_affine, dtype="uint8", metadata=about(Type="Brain"))
    transforms.save_xfm(out.motion, motion.matrices)
    tables.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin}
    volumes |= {"Volumes": int(series.shape[3]), "Centre": centre}
    if bridged:
        volumes |= {"BoldrefToMotionReference": chosen.to_motion}
    tables.write_json(out.volumes, about(**volumes, **flags))
    *parameters, displacement = table.to_numpy().T
    traces = {"tr": run["tr"], "threshold_mm": limit, "title": run["stem"]}
    figure = motion_traces(np.stack(parameters, axis=1), displacement, **traces)
    save(figure, out.figure)
