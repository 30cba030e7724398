"""Align a run to its session or a session to its subject, go on to the anatomy, and judge."""

import numpy as np

from mebold.coreg import agreement, chain
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.jobs import sidecar
from mebold.jobs.script import job, owner
from mebold.registration import doubts
from mebold.sdc import verdict

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    moving, anchor = images.load(files.boldref), images.load(files.anchor)
    mask, brain = images.load_mask(files.mask)[0], images.load_mask(files.anchor_mask)[0]
    matrix = transforms.load_xfm(files.to_anchor) if files.to_anchor else np.eye(4)
    quality = {}
    if files.boldref != files.reference:
        known = {"mask": images.load_mask(files.reference_mask)[0], "smoothing": params.smoothing}
        link, quality = chain.to_reference(*moving, *images.load(files.reference), **known)
        matrix = link @ matrix
    if params.anatomy:  # without it the correlation with the reference has to do
        quality |= agreement.agreement(matrix, *moving, *anchor, boldref_mask=mask, t1w_mask=brain)
    found = doubts.of(quality, params.coreg, doubts.COREG)
    if files.get("field"):
        known = {"mask": mask, "anatomy_mask": brain, "matrix": matrix, "run": params.run}
        known["warp"] = transforms.load_displacement(files.warp) if files.warp else None
        seen = (images.load(files.distorted)[0], moving[1], images.load(files.field)[0])
        quality["field_sign"], more = verdict.judge(*seen, *anchor, **known)
        found += more
    for doubt in found:
        log.warning("%s: %s", out.xfm, doubt)
    transforms.save_xfm(out.xfm, matrix)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numba", "numpy"])
    tables.write_json(out.info, about(Quality=quality, Warnings=found))
    text = doubts.caption(quality, found)
    to = "T1w" if params.anatomy else "the reference run"
    title = f"Alignment of BOLD and {to}, {owner(snakemake)}"
    figure = registration(*moving, *anchor, matrix, mask=brain, title=title, subtitle=text)
    save(figure, out.figure)
