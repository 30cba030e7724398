"""Make the B0 field in Hz of a multi-echo gradient echo from its phase."""

from mebold.files.images import load_volume, save
from mebold.fmap import estimate
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    settings, out = snakemake.params.settings, snakemake.output
    phase_range = None if settings["phase_range"] == "auto" else tuple(settings["phase_range"])
    echoes = [
        estimate.Image({**row, "path": path}, *load_volume(path))
        for path, row in zip(snakemake.input, snakemake.params.rows, strict=True)
    ]
    options = {key: settings[key] for key in ("curvature", "steepest_hz_mm")}
    found = estimate.estimate(echoes, phase_range=phase_range, pepolar_stiffness=0.0, **options)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "scikit-image", "numpy"])
    save(out.field, found.field_hz, found.affine, metadata=about(Units="Hz"))
    save(out.magnitude, found.magnitude, found.affine, metadata=about(Units="arbitrary"))
