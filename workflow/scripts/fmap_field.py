"""Make the B0 field in Hz of every fieldmap of a session, aligned to the first."""

from mebold.clock import earliest
from mebold.files import tables
from mebold.files.images import load, load_volume, save
from mebold.fmap import estimate, session
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake) as log:
    settings = snakemake.params.settings
    phase_range = None if settings["phase_range"] == "auto" else tuple(settings["phase_range"])
    images = {}
    for path, row in zip(snakemake.input, snakemake.params.rows, strict=True):
        read = load if row["suffix"] == "epi" else load_volume
        image = estimate.Image({**row, "path": path}, *read(path))
        images.setdefault(row["fieldmap"], []).append(image)
    names = ("curvature", "steepest_hz_mm", "pepolar_stiffness")
    options = {key: settings[key] for key in names}
    maps = {
        name: estimate.estimate(own, phase_range=phase_range, **options)
        for name, own in images.items()
    }
    fields, mean = session.on_first_grid(maps)
    times = [earliest(image.row["acquisition_time"] for image in own) for own in images.values()]
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "scikit-image", "numpy"])
    out = snakemake.output
    save(out.field, fields, mean.affine)
    tables.write_json(out.info, about(Units="Hz", Fieldmaps=list(maps), AcquisitionTimes=times))
    save(out.magnitude, mean.magnitude, mean.affine, metadata=about())
