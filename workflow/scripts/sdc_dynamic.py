"""Follow the field of a run from volume to volume, and estimate its motion without that change."""

import numpy as np

from mebold.figures.sdc import changing_field
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.fmap import phase
from mebold.geometry import grids
from mebold.hmc import track
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import rigid
from mebold.resample import slice_timing
from mebold.sdc import medic
from mebold.sdc.change import Static, field_change, summary, without_change

with job(snakemake) as log:
    files, run = snakemake.input, snakemake.params.run
    settings, about_motion = snakemake.params.settings, tables.read_json(files.volumes)
    volumes, bridge = about_motion["Volumes"], about_motion.get("BoldrefToMotionReference")
    own = files.magnitude[run["hmc_echo"]]
    raw, affine = images.load(own)
    raw = raw[..., :volumes]
    field, boldref_affine = images.load(files.field)
    mask = images.load_mask(files.mask)[0]
    epi = {key: run[key] for key in ("direction", "readout_s")}
    static = Static(field, mask, boldref_affine, **epi)
    motion = transforms.load_xfm(files.motion).reshape(-1, 4, 4)
    if files.native:
        change = medic.change(images.load(files.native)[0], affine, motion=motion, static=static)
    else:
        wanted = None if settings["phase_range"] == "auto" else settings["phase_range"]
        magnitudes = [
            raw if path == own else images.load(path)[0][..., :volumes] for path in files.magnitude
        ]
        phases = []
        for path in files.phase:
            stored = images.load(path)[0][..., :volumes]
            phases.append(phase.series_to_radians(stored, value_range=wanted, name=path))
        axis, _ = slice_timing.slice_times(run, raw.shape)
        change = field_change(
            magnitudes, phases, affine, motion=motion, static=static, slice_axis=axis,
            echo_times_s=run["echo_times"], fwhm_mm=settings["change_smoothing_mm"],
        )  # fmt: skip
        del magnitudes, phases
    found = summary(change, affine, static, run["echo_times"])
    log.info("change of the field: %s", found)
    if not files.native and found["LargestMeanChange"] > 0.5 * found["AmbiguousFrom"]:
        log.warning("the field changes so much that its phase may have turned: %s", found)
    smoothing = rigid.smoothing(affine, snakemake.params.smoothing)
    if files.sbref:
        reference, reference_affine = images.load_volume(files.sbref)
    else:
        reference = track.robust_mean(raw, affine, fwhm_mm=smoothing["fwhm_mm"])
        reference_affine = affine
    brain = mask
    if bridge is not None:
        back = {"matrix": np.linalg.inv(bridge), "order": 0}
        brain = grids.onto(mask, boldref_affine, reference.shape, reference_affine, **back) > 0
    anew = track.track(
        without_change(raw, change, affine, **epi), reference, affine,
        reference_affine=reference_affine, **smoothing, n_threads=snakemake.threads,
        mask=brain,
    )  # fmt: skip
    if anew.doubtful.any():
        log.warning("motion is doubtful in volumes %s", np.flatnonzero(anew.doubtful).tolist())
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numba", "numpy", "scipy"])
    about_change = about(Units="Hz", **found)
    images.save(snakemake.output.change, change, affine, tr=run["tr"], metadata=about_change)
    matrices = anew.matrices if bridge is None else anew.matrices @ np.asarray(bridge)
    transforms.save_xfm(snakemake.output.motion, matrices)
    brain = grids.onto(mask, boldref_affine, change.shape[:3], affine, order=0) > 0
    scale = {"tr": run["tr"], "mm_per_hz": found["MillimetresPerHertz"]}
    figure = changing_field(change, affine, mask=brain, **scale, title=run["stem"])
    save(figure, snakemake.output.figure)
