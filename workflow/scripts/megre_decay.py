"""Fit T2* to a multi-echo gradient echo, and combine its echoes."""

from mebold.figures import megre as figures
from mebold.figures.style import save
from mebold.files import images
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.multiecho import megre

with job(snakemake) as log:
    out, te = snakemake.output, snakemake.params.te
    volumes = [images.load_volume(path) for path in snakemake.input]
    affine = volumes[0][1]
    found = megre.fit([data for data, _ in volumes], te)
    log.info("noise of real and imaginary part: %g", found.noise)
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numpy", "scipy"])
    common = {"EchoTimes": te, "NoiseSD": found.noise or "n/a"}
    for name, data, units in (
        ("t2star", found.t2star, "s"),
        ("r2star", found.r2star, "1/s"),
        ("s0", found.s0, "arbitrary"),
        ("combined", found.combined, "arbitrary"),
    ):
        images.save(out[name], data, affine, metadata=about(Units=units, **common))
    title = f"T2* of {snakemake.wildcards.megre}"
    save(figures.t2star(found.t2star, found.combined, affine, title=title, te_s=te), out.figure)
