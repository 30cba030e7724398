"""Bring a T2w to the T1w of the subject, rigidly, and judge the alignment."""

from pathlib import Path

import numpy as np

from mebold.coreg import agreement, t2w
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.files.metadata import SPATIAL_REFERENCES
from mebold.geometry import grids
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import doubts

with job(snakemake) as log:
    files, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    t1w, affine = images.load(files.t1w)
    mask = images.load_mask(files.mask)[0]
    volume, own = images.load_volume(files.t2w)
    matrix, even, quality, found = t2w.aligned(
        agreement.working_t1w(t1w, affine, mask, own),
        (volume, own),
        least_mutual_information=settings["least_mutual_information"],
        seed=snakemake.params.seed,
    )
    for doubt in found:
        log.warning("%s: %s", out.xfm, doubt)
    moved = grids.onto(even, own, t1w.shape, affine, matrix=matrix, order=3)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numpy", "scipy"])
    judged = {"Quality": quality, "Warnings": found}
    text = {"SkullStripped": False, "Units": "arbitrary", **judged}
    text["SpatialReference"] = SPATIAL_REFERENCES["T1w"]
    images.save(out.t2w, np.maximum(moved, 0.0), affine, metadata=about(**text))
    transforms.save_xfm(out.xfm, matrix)
    tables.write_json(out.info, about(**judged))
    figure = registration(
        moved,
        affine,
        t1w,
        affine,
        mask=mask,
        title=f"{Path(files.t2w).name.partition('.')[0]} on the T1w",
        subtitle=f"Orange: edges of the T2w. {doubts.caption(quality, found)}",
    )
    save(figure, out.figure)
