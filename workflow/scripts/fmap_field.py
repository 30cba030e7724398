"""Make the B0 field in Hz of every fieldmap of a session, aligned to the first."""

from mebold import derivatives, field_estimate, fmap_session, nifti
from mebold.clock import earliest
from mebold.jobs import job

with job(snakemake) as log:
    settings = snakemake.params.settings
    phase_range = None if settings["phase_range"] == "auto" else tuple(settings["phase_range"])
    images = {}
    for path, row in zip(snakemake.input, snakemake.params.rows, strict=True):
        image = field_estimate.Image({**row, "path": path}, *nifti.load(path))
        images.setdefault(row["fieldmap"], []).append(image)
    options = {key: settings[key] for key in ("smoothing_mm", "pepolar_stiffness")}
    maps = {
        name: field_estimate.estimate(own, phase_range=phase_range, **options)
        for name, own in images.items()
    }
    fields, mean = fmap_session.on_first_grid(maps)
    times = [earliest(image.row["acquisition_time"] for image in own) for own in images.values()]
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "scikit-image", "numpy"])
    out = snakemake.output
    nifti.save(out.field, fields, mean.affine)
    nifti.write_json(out.info, about(Units="Hz", Fieldmaps=list(maps), AcquisitionTimes=times))
    nifti.save(out.magnitude, mean.magnitude, mean.affine, metadata=about())
