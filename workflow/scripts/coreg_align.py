"""Align a run to its session or a session to its subject, go on to the anatomy, and judge."""

from dataclasses import asdict

import numpy as np

from mebold import (
    affines,
    coreg,
    coreg_quality,
    derivatives,
    figures,
    hmc,
    nifti,
    nifti_warp,
    sdc_check,
    warp,
)
from mebold.jobs import job

with job(snakemake) as log:
    files, settings = snakemake.input, snakemake.params.hmc
    moving, affine = nifti.load(files.boldref)
    matrix = nifti.load_xfm(files.to_anchor) if files.to_anchor else np.eye(4)
    quality = {}
    if files.boldref != files.reference:
        reference, reference_affine = nifti.load(files.reference)
        mask = nifti.load_mask(files.reference_mask)[0]
        fit = hmc.register(
            moving,
            reference,
            moving_affine=affine,
            reference_affine=reference_affine,
            mask=mask,
            **hmc.smoothing(reference_affine, settings),
        )
        matrix = fit.matrix @ matrix
        quality = {name: getattr(fit, name) for name in ("correlation", "overlap", "converged")}
        brain = affines.grid_points(mask.shape, reference_affine, mask)
        quality |= coreg.movement(fit.matrix, brain)
    anchor, anchor_affine = nifti.load(files.anchor)
    masks = {"boldref_mask": nifti.load_mask(files.mask)[0]}
    masks["t1w_mask"] = nifti.load_mask(files.anchor_mask)[0]
    if snakemake.params.anatomy:  # without it the correlation with the reference has to do
        quality |= coreg.agreement(matrix, moving, affine, anchor, anchor_affine, **masks)
    found = coreg_quality.of(quality, snakemake.params.coreg, coreg_quality.COREG)
    if files.get("field"):
        run, epi = snakemake.params.run, nifti.load(files.distorted)[0]
        hertz = nifti.load(files.field)[0]
        if files.warp:
            shift = affines.grid_points(epi.shape, affine)
            shift = warp.at_points(*nifti_warp.load(files.warp), shift)
            epi, hertz = (warp.undistorted(image, affine, warp_mm=shift) for image in (epi, hertz))
        encoding = {key: run[key] for key in ("direction", "readout_s")}
        sign = sdc_check.field_sign_evidence(
            epi, affine, hertz, anchor, anchor_affine, **encoding,
            mask=masks["boldref_mask"], anatomy_mask=masks["t1w_mask"],
            to_anatomy=np.linalg.inv(matrix),
        )  # fmt: skip
        quality["field_sign"] = asdict(sign)
        names = {"run": run["stem"], "fieldmaps": run["fieldmaps"]}
        found += sdc_check.require_right_sign(sign, direction=run["direction"], **names)
    for doubt in found:
        log.warning("%s: %s", snakemake.output.xfm, doubt)
    nifti.save_xfm(snakemake.output.xfm, matrix)
    about = derivatives.Sidecar(snakemake, packages=["antspyx", "numba", "numpy"])
    nifti.write_json(snakemake.output.info, about(Quality=quality, Warnings=found))
    text = coreg_quality.caption(quality, found)
    figure = figures.registration(
        moving, affine, anchor, anchor_affine, matrix, mask=masks["t1w_mask"], subtitle=text
    )
    figures.save(figure, snakemake.output.figure)
