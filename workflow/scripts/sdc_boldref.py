"""Bring the field to the reference image of a run and undistort that image."""

import numpy as np

from mebold import affines, derivatives, figures, fmap, hmc, nifti, regrid, resample
from mebold.jobs import job

with job(snakemake) as log:
    run, info = snakemake.params.run, nifti.read_json(snakemake.input.info)
    boldref, affine = nifti.load(snakemake.input.boldref)
    mask = nifti.load_mask(snakemake.input.mask)[0]
    fields, field_affine = nifti.load(snakemake.input.field)
    magnitude = nifti.load(snakemake.input.magnitude)[0]
    fields = np.moveaxis(fields.reshape(*fields.shape[:3], -1), -1, 0)
    times, centre_s = info["AcquisitionTimes"], run["centre_s"]
    if len(fields) > 1 and centre_s is not None and None not in times:
        field = fmap.interpolate_in_time(fields, np.array(times), centre_s)
    else:
        field = fields.mean(axis=0)
    to_field = hmc.align(
        magnitude,
        boldref,
        moving_affine=field_affine,
        reference_affine=affine,
        mask=mask,
        **{k: snakemake.params.hmc[k] for k in ("fwhm_mm", "coarse_mm")},
    )
    hertz = regrid.onto(field, field_affine, boldref.shape, affine, matrix=to_field, mode="nearest")
    points = affines.grid_points(boldref.shape, affine)
    corrected = resample.resample_volume(
        boldref,
        affine,
        points,
        field_hz=hertz.ravel(),
        direction=run["direction"],
        readout_s=run["readout_s"],
    ).reshape(boldref.shape)
    about = derivatives.Sidecar(snakemake, packages=["numba", "numpy", "scipy"])
    out = snakemake.output
    nifti.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    nifti.save(out.field, hertz, affine, metadata=about(Units="Hz", BoldrefToFieldmap=to_field))
    outline = (
        regrid.onto(
            fmap.magnitude_mask(magnitude, field_affine).astype(np.float32),
            field_affine,
            boldref.shape,
            affine,
            matrix=to_field,
        )
        > 0.5
    )
    figure = figures.distortion(
        boldref,
        corrected,
        affine,
        outlines=[(outline, affine)],
        mask=mask,
        field_hz=hertz,
        subtitle=run["stem"],
    )
    figures.save(figure, out.figure)
