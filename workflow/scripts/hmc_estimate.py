"""Choose the reference image of a run and estimate head motion against it."""

import numpy as np
import pandas as pd

from mebold import affines, anat, derivatives, figures, hmc, hmc_path, nifti, nordic_noise
from mebold.framewise import framewise_displacement
from mebold.jobs import job

with job(snakemake) as log:
    run, settings = snakemake.params.run, snakemake.params.settings
    series, affine = nifti.load(snakemake.input.bold[run["hmc_echo"]])
    noise, origin = nordic_noise.count_noise_volumes(series, snakemake.params.noise_volumes)
    log.info("noise volumes at the end: %d (%s)", noise, origin)
    series = series[..., : series.shape[3] - noise]
    sbref = snakemake.input.sbref
    if sbref:
        reference, reference_affine = nifti.load(sbref[run["hmc_echo"]])
        boldref = nifti.load(sbref[run["reference_echo"]])[0]
    else:
        other = nifti.load(snakemake.input.bold[run["reference_echo"]])[0]
        reference, reference_affine = hmc.robust_mean(series, affine), affine
        boldref = hmc.robust_mean(other[..., : series.shape[3]], affine)
    mask = anat.epi_mask(boldref, reference_affine)
    track = hmc.track(
        series,
        reference,
        affine,
        reference_affine=reference_affine,
        mask=mask,
        fwhm_mm=settings["fwhm_mm"],
        coarse_mm=settings["coarse_mm"],
        n_threads=snakemake.threads,
    )
    motion, limit = track.matrices, settings["outlier_mm"]
    if track.doubtful.any():
        log.warning("motion is doubtful in volumes %s", np.flatnonzero(track.doubtful).tolist())
    centre = affines.grid_points(mask.shape, reference_affine, mask).mean(axis=0)
    parameters = hmc_path.parameters(motion, centre)
    displacement = framewise_displacement(parameters)
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "nibabel", "numba", "numpy"])
    out = snakemake.output
    nifti.save(out.boldref, boldref, reference_affine, metadata=about(SkullStripped=False))
    nifti.save(out.mask, mask, reference_affine, dtype="uint8", metadata=about(Type="Brain"))
    nifti.save_xfm(out.motion, motion)
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    table = pd.DataFrame(parameters, columns=names)
    table["framewise_displacement"] = displacement
    nifti.write_tsv(out.table, table)
    volumes = {"NoiseVolumes": noise, "NoiseVolumesOrigin": origin}
    volumes |= {"Volumes": int(series.shape[3]), "Centre": centre}
    outliers = np.flatnonzero(np.nan_to_num(displacement) > limit)
    flags = {"OutlierVolumes": outliers, "DoubtfulVolumes": np.flatnonzero(track.doubtful)}
    nifti.write_json(out.volumes, about(**volumes, **flags))
    figures.save(
        figures.motion_traces(
            parameters, displacement, tr=run["tr"], threshold_mm=limit, title=run["stem"]
        ),
        out.figure,
    )
