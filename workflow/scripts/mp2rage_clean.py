"""Darken the air of a combined MP2RAGE image, and find the head."""

from pathlib import Path

from mebold.anat import mp2rage
from mebold.figures import mp2rage as figures
from mebold.figures.style import save
from mebold.files import images
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake) as log:
    files, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    stored, affine = images.load_volume(files.unit1)
    given = None if settings["unit1_range"] == "auto" else tuple(settings["unit1_range"])
    unit = mp2rage.to_fraction(stored, given, name=files.unit1)
    if files.get("inv2"):
        inv1, inv2 = (images.load_volume(files[name])[0] for name in ("inv1", "inv2"))
        made = mp2rage.with_inversions(
            unit, inv1, inv2, affine, regularisation=settings["regularisation"]
        )
    else:
        made = mp2rage.alone(unit, affine)
    log.info("background: %s", made.how)
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numpy", "scipy"])
    text = {"Units": "arbitrary", "BackgroundCleaning": made.how, "BackgroundNoise": made.noise}
    images.save(out.unit1, made.image, affine, metadata=about(SkullStripped=False, **text))
    images.save(out.head, made.head, affine, dtype="uint8", metadata=about(Type="Head"))
    images.save(out.weighted, made.weighted, affine)
    title = f"{Path(files.unit1).name.partition('.')[0]} without its background"
    figure = figures.cleaning(unit, made.image, affine, head=made.head, title=title, text=made.how)
    save(figure, out.figure)
