"""Correct the bias field of a T1w image, find the brain, its tissue classes and their measures."""

from pathlib import Path

from mebold.anat import average, bias, brain_mask, doubts, measures, priors, tissue
from mebold.anat.labels import TISSUES
from mebold.figures import anat as figures
from mebold.figures.style import save
from mebold.files import images, measures_table, segmentation
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake) as log:
    name = Path(snakemake.input.t1w).name.partition(".")[0]
    settings, out, sub = snakemake.params.settings, snakemake.output, snakemake.wildcards.sub
    raw, affine = images.load_volume(snakemake.input.t1w)
    files = snakemake.input
    repeats = [images.load_volume(path) for path in files.repeats]
    raw, moved_mm = average.average(raw, affine, repeats, seed=snakemake.params.seed)
    if files.get("given_mask"):
        brain = images.load_mask(files.given_mask)[0]
    else:
        source = files.get("mask_source")
        seen = images.load_volume(source)[0] if source else raw
        brain = brain_mask.brain_mask(seen, affine)
    t1w = bias.bias_correct(raw, affine, brain)
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
    images.save(out.t1w, t1w, affine, metadata=about(SkullStripped=False, Units="arbitrary"))
    images.save(out.mask, brain, affine, dtype="uint8", metadata=about(Type="Brain"))
    classes = {"Method": found.method, "Fallback": found.reason, "Warnings": doubtful}
    segmentation.save(out.dseg, found.dseg, affine, metadata=about(**classes))
    for label, probability in zip(TISSUES, found.probseg, strict=True):
        path = getattr(out, label.lower())
        images.save(path, probability, affine, metadata=about(Units="probability", **classes))
    measures_table.save(out.measures, sub, numbers, doubtful)
    drawn = figures.segmentation(t1w, affine, dseg=found.dseg, brain_mask=brain, name=name)
    save(drawn, out.figure)
