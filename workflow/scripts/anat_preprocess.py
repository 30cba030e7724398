"""Correct the bias field of a T1w image, find the brain, its tissue classes and their measures."""

from pathlib import Path

from mebold.anat import (
    average,
    brain_mask,
    doubts,
    evenness,
    measures,
    orientation,
    priors,
    tissue,
)
from mebold.anat.labels import TISSUES
from mebold.figures import anat as figures
from mebold.figures.style import save
from mebold.files import images, measures_table, segmentation
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake) as log:
    name = Path(snakemake.input.t1w).name.partition(".")[0]
    settings, out, sub = snakemake.params.settings, snakemake.output, snakemake.wildcards.sub
    raw, kept = images.load_volume(snakemake.input.t1w)
    files = snakemake.input
    repeats = [images.load_volume(path) for path in files.repeats]
    raw, moved_mm = average.average(raw, kept, repeats, seed=snakemake.params.seed)
    raw, affine = orientation.canonical(raw, kept)
    if files.get("given_mask"):
        brain = orientation.canonical(images.load_mask(files.given_mask)[0], kept)[0]
    else:
        source = files.get("mask_source")
        seen = orientation.canonical(images.load_volume(source)[0], kept)[0] if source else raw
        brain = brain_mask.brain_mask(seen, affine)
    t1w = evenness.even_t1w(raw, affine, brain)
    expected = priors.expected(
        t1w, affine, brain, settings, limits=snakemake.params.limits, seed=snakemake.params.seed
    )
    found = tissue.classify(
        t1w, affine, brain,
        priors=expected.maps, prior_weight=settings["prior_weight"], refused=expected.refused,
    )  # fmt: skip
    numbers = measures.volumes(found.dseg, found.probseg, brain, affine)
    numbers |= measures.of_image(raw, t1w, affine, dseg=found.dseg, mask=brain)
    numbers |= expected.measures()
    doubtful = doubts.of(numbers, found)
    for doubt in doubtful:
        log.warning("%s: %s", snakemake.input.t1w, doubt)
    made = {"AveragedImages": 1 + len(repeats), "AveragedMovedBy": moved_mm} if repeats else {}
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "nibabel", "numpy"], **made)
    images.save(
        out.t1w,
        orientation.stored(t1w, kept),
        kept,
        metadata=about(SkullStripped=False, Units="arbitrary"),
    )
    mask = orientation.stored(brain, kept)
    images.save(out.mask, mask, kept, dtype="uint8", metadata=about(Type="Brain"))
    classes = {"Method": found.method, "Fallback": found.reason, "Warnings": doubtful}
    pure = {name: {"Mean": mean, "SD": sd} for name, (mean, sd) in found.pure.items()}
    shown = {"Units": "share of the voxel" if pure else "probability", "PureIntensities": pure}
    segmentation.save(
        out.dseg, orientation.stored(found.dseg, kept), kept, metadata=about(**classes)
    )
    for label, share in zip(TISSUES, found.probseg, strict=True):
        volume = orientation.stored(share, kept)
        path = getattr(out, label.lower())
        images.save(path, volume, kept, metadata=about(**shown, **classes))
    measures_table.save(out.measures, sub, numbers, doubtful)
    drawn = figures.segmentation(t1w, affine, dseg=found.dseg, brain_mask=brain, name=name)
    save(drawn, out.figure)
