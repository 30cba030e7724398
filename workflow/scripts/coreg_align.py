"""Align a run to its session or a session to its subject, go on to the anatomy, and judge."""

from dataclasses import asdict

import numpy as np

from mebold.coreg import align
from mebold.figures.coreg import registration
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.geometry import affines, displacement
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import doubts, rigid
from mebold.sdc.sign import field_sign_evidence, require_right_sign

with job(snakemake) as log:
    files, settings = snakemake.input, snakemake.params.smoothing
    moving, affine = images.load(files.boldref)
    matrix = transforms.load_xfm(files.to_anchor) if files.to_anchor else np.eye(4)
    quality = {}
    if files.boldref != files.reference:
        reference, reference_affine = images.load(files.reference)
        mask = images.load_mask(files.reference_mask)[0]
        fit = rigid.register(
            moving,
            reference,
            moving_affine=affine,
            reference_affine=reference_affine,
            mask=mask,
            **rigid.smoothing(reference_affine, settings),
        )
        matrix = fit.matrix @ matrix
        quality = {name: getattr(fit, name) for name in ("correlation", "overlap", "converged")}
        brain = affines.grid_points(mask.shape, reference_affine, mask)
        quality |= align.movement(fit.matrix, brain)
    anchor, anchor_affine = images.load(files.anchor)
    masks = {"boldref_mask": images.load_mask(files.mask)[0]}
    masks["t1w_mask"] = images.load_mask(files.anchor_mask)[0]
    if snakemake.params.anatomy:  # without it the correlation with the reference has to do
        quality |= align.agreement(matrix, moving, affine, anchor, anchor_affine, **masks)
    found = doubts.of(quality, snakemake.params.coreg, doubts.COREG)
    if files.get("field"):
        run, epi = snakemake.params.run, images.load(files.distorted)[0]
        hertz = images.load(files.field)[0]
        if files.warp:
            shift = affines.grid_points(epi.shape, affine)
            shift = displacement.at_points(*transforms.load_displacement(files.warp), shift)
            epi, hertz = (
                displacement.undistorted(image, affine, warp_mm=shift) for image in (epi, hertz)
            )
        encoding = {key: run[key] for key in ("direction", "readout_s")}
        sign = field_sign_evidence(
            epi, affine, hertz, anchor, anchor_affine, **encoding,
            mask=masks["boldref_mask"], anatomy_mask=masks["t1w_mask"],
            to_anatomy=np.linalg.inv(matrix),
        )  # fmt: skip
        quality["field_sign"] = asdict(sign)
        names = {"run": run["stem"], "fieldmaps": run["fieldmaps"]}
        found += require_right_sign(sign, direction=run["direction"], **names)
    for doubt in found:
        log.warning("%s: %s", snakemake.output.xfm, doubt)
    transforms.save_xfm(snakemake.output.xfm, matrix)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numba", "numpy"])
    tables.write_json(snakemake.output.info, about(Quality=quality, Warnings=found))
    text = doubts.caption(quality, found)
    alone = "the reference image of the subject's first run"
    title = "T1w" if snakemake.params.anatomy else alone
    figure = registration(
        moving, affine, anchor, anchor_affine, matrix, mask=masks["t1w_mask"],
        title=f"Alignment of BOLD and {title}", subtitle=text,
    )  # fmt: skip
    save(figure, snakemake.output.figure)
