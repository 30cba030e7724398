"""Follow the field of a run from volume to volume, and estimate its motion without that change."""

import numpy as np

from mebold import (
    derivatives,
    figures,
    fmap_phase,
    hmc,
    medic,
    nifti,
    regrid,
    resample_run,
    sdc_dynamic,
)
from mebold.jobs import job

with job(snakemake) as log:
    files, run = snakemake.input, snakemake.params.run
    settings, volumes = snakemake.params.settings, nifti.read_json(files.volumes)["Volumes"]
    own = files.magnitude[run["hmc_echo"]]
    raw, affine = nifti.load(own)
    raw = raw[..., :volumes]
    field, boldref_affine = nifti.load(files.field)
    mask = nifti.load_mask(files.mask)[0]
    epi = {key: run[key] for key in ("direction", "readout_s")}
    static = sdc_dynamic.Static(field, mask, boldref_affine, **epi)
    motion = nifti.load_xfm(files.motion).reshape(-1, 4, 4)
    if files.native:
        change = medic.change(nifti.load(files.native)[0], affine, motion=motion, static=static)
    else:
        wanted = None if settings["phase_range"] == "auto" else settings["phase_range"]
        magnitudes = [
            raw if path == own else nifti.load(path)[0][..., :volumes] for path in files.magnitude
        ]
        phases = []
        for path in files.phase:
            stored = nifti.load(path)[0][..., :volumes]
            phases.append(fmap_phase.series_to_radians(stored, value_range=wanted, name=path))
        axis, _ = resample_run.slice_times(run, raw.shape)
        change = sdc_dynamic.field_change(
            magnitudes, phases, affine, motion=motion, static=static, slice_axis=axis,
            echo_times_s=run["echo_times"], fwhm_mm=settings["change_smoothing_mm"],
        )  # fmt: skip
        del magnitudes, phases
    found = sdc_dynamic.summary(change, affine, static, run["echo_times"])
    log.info("change of the field: %s", found)
    if not files.native and found["LargestMeanChange"] > 0.5 * found["AmbiguousFrom"]:
        log.warning("the field changes so much that its phase may have turned: %s", found)
    smoothing = hmc.smoothing(affine, snakemake.params.hmc)
    if files.sbref:
        reference, reference_affine = nifti.load(files.sbref[run["hmc_echo"]])
    else:
        reference = hmc.robust_mean(raw, affine, fwhm_mm=smoothing["fwhm_mm"])
        reference_affine = affine
    anew = hmc.track(
        sdc_dynamic.without_change(raw, change, affine, **epi), reference, affine,
        reference_affine=reference_affine, mask=mask, **smoothing, n_threads=snakemake.threads,
    )  # fmt: skip
    if anew.doubtful.any():
        log.warning("motion is doubtful in volumes %s", np.flatnonzero(anew.doubtful).tolist())
    about = derivatives.Sidecar(snakemake, packages=["nibabel", "numba", "numpy", "scipy"])
    about_change = about(Units="Hz", **found)
    nifti.save(snakemake.output.change, change, affine, tr=run["tr"], metadata=about_change)
    nifti.save_xfm(snakemake.output.motion, anew.matrices)
    brain = regrid.onto(mask, boldref_affine, change.shape[:3], affine, order=0) > 0
    scale = {"tr": run["tr"], "mm_per_hz": found["MillimetresPerHertz"]}
    figure = figures.changing_field(change, affine, mask=brain, **scale, title=run["stem"])
    figures.save(figure, snakemake.output.figure)
