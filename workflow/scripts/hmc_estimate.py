"""Choose the reference image of a run and estimate head motion against it."""

import numpy as np

from mebold import affines, anat, derivatives, figures, hmc, hmc_record, nifti, nordic_noise
from mebold.jobs import job

with job(snakemake) as log:
    run, settings = snakemake.params.run, snakemake.params.settings
    series, affine = nifti.load(snakemake.input.bold[run["hmc_echo"]])
    noise, origin = nordic_noise.count_noise_volumes(series, snakemake.params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    series = series[..., : series.shape[3] - noise]
    sbref = snakemake.input.sbref
    widths = hmc.smoothing(affine, settings)
    fine = {"fwhm_mm": widths["fwhm_mm"]}
    if sbref:
        reference, reference_affine = nifti.load(sbref[run["hmc_echo"]])
        boldref = nifti.load(sbref[run["reference_echo"]])[0]
    else:
        other = nifti.load(snakemake.input.bold[run["reference_echo"]])[0]
        reference, reference_affine = hmc.robust_mean(series, affine, **fine), affine
        boldref = hmc.robust_mean(other[..., : series.shape[3]], affine, **fine)
    mask = anat.epi_mask(boldref, reference_affine)
    motion = hmc.track(
        series,
        reference,
        affine,
        reference_affine=reference_affine,
        mask=mask,
        **widths,
        n_threads=snakemake.threads,
    )
    centre = affines.grid_points(mask.shape, reference_affine, mask).mean(axis=0)
    limit = settings["outlier_mm"]
    table, flags = hmc_record.motion_record(motion, centre, outlier_mm=limit)
    if flags["DoubtfulVolumes"]:
        log.warning("motion is doubtful in volumes %s", flags["DoubtfulVolumes"])
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    out = snakemake.output
    nifti.save(out.boldref, boldref, reference_affine, metadata=about(SkullStripped=False))
    nifti.save(out.mask, mask, reference_affine, dtype="uint8", metadata=about(Type="Brain"))
    nifti.save_xfm(out.motion, motion.matrices)
    nifti.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin}
    volumes |= {"Volumes": int(series.shape[3]), "Centre": centre}
    nifti.write_json(out.volumes, about(**volumes, **flags))
    *parameters, displacement = table.to_numpy().T
    traces = {"tr": run["tr"], "threshold_mm": limit, "title": run["stem"]}
    figure = figures.motion_traces(np.stack(parameters, axis=1), displacement, **traces)
    figures.save(figure, out.figure)
