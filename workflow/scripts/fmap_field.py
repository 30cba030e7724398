"""Make the B0 field in Hz of every fieldmap of a session, aligned to the first."""

import numpy as np

from mebold import affines, anat, derivatives, field_estimate, hmc, nifti, regrid
from mebold.jobs import job

with job(snakemake) as log:
    settings, rows = snakemake.params.settings, snakemake.params.rows
    phase_range = None if settings["phase_range"] == "auto" else tuple(settings["phase_range"])
    sets = {}
    for path, row in zip(snakemake.input, rows, strict=True):
        sets.setdefault(row["fieldmap"], {})[row["suffix"]] = (path, {**row, "path": path})
    fields, magnitudes, times, names, affine, mask = [], [], [], [], None, None
    for name, files in sets.items():
        meta = {suffix: row for suffix, (_, row) in files.items()}
        loaded = {suffix: nifti.load(path) for suffix, (path, _) in files.items()}
        kind = next(iter(meta.values()))["fieldmap_kind"]
        own = next(iter(loaded.values()))[1]
        field, magnitude = field_estimate.estimate(
            kind,
            {s: data for s, (data, _) in loaded.items()},
            meta,
            own,
            phase_range=phase_range,
            smoothing_mm=settings["smoothing_mm"],
        )
        if affine is None:
            affine, mask = own, anat.epi_mask(magnitude, own)
        else:
            to_own = hmc.align(
                magnitude, magnitudes[0], moving_affine=own, reference_affine=affine, mask=mask
            )
            shape = magnitudes[0].shape
            log.info("fieldmap %s moved by %s", name, affines.rigid_parameters(to_own, np.zeros(3)))
            field = regrid.onto(field, own, shape, affine, matrix=to_own, mode="nearest")
            magnitude = regrid.onto(magnitude, own, shape, affine, matrix=to_own)
        fields.append(field)
        magnitudes.append(magnitude)
        names.append(name)
        times.append(
            min(
                (r["acquisition_time"] for r in meta.values() if r["acquisition_time"] is not None),
                default=None,
            )
        )
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "scikit-image", "numpy"])
    out = snakemake.output
    nifti.save(out.field, np.stack(fields, axis=-1), affine)
    nifti.write_json(out.info, about(Units="Hz", Fieldmaps=names, AcquisitionTimes=times))
    nifti.save(out.magnitude, np.mean(magnitudes, axis=0), affine, metadata=about())
