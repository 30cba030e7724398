"""Follow the field of a run from volume to volume, and estimate its motion without that change."""

import numpy as np

from mebold.figures.sdc import changing_field
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.geometry import grids
from mebold.jobs import echoes, sidecar
from mebold.jobs.script import job
from mebold.resample import slice_clock
from mebold.sdc import change, follow, medic

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    run, settings = params.run, params.settings
    told = tables.read_json(files.volumes)
    volumes, to_series = told["Volumes"], np.array(told["BoldrefToSeries"])
    raw, affine = images.load(files.magnitude[run["hmc_echo"]])
    raw, mask = raw[..., :volumes], images.load_mask(files.mask)[0]
    field, grid = images.load(files.field)
    static = change.Static(field, mask, grid, run["direction"], run["readout_s"])
    known = {"motion": transforms.load_xfm(files.motion).reshape(-1, 4, 4), "static": static}
    if files.native:
        hertz = medic.change(images.load(files.native)[0], affine, **known)
    else:
        read = {"volumes": volumes, "phase_range": settings["phase_range"]}
        read["known"] = {run["hmc_echo"]: raw}
        known |= {"echo_times_s": run["echo_times"], "fwhm_mm": settings["change_smoothing_mm"]}
        known["slice_axis"] = slice_clock.slice_times(run, raw.shape)[0]
        hertz = change.field_change(*echoes.read(files, **read), affine, **known)
    found = change.summary(hertz, affine, static, run["echo_times"])
    for doubt in [] if files.native else change.doubts(found):
        log.warning(doubt)
    options = {"smoothing": params.smoothing, "n_threads": snakemake.threads}
    anew = follow.motion_without(raw, hertz, affine, static=static, to_series=to_series, **options)
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numba", "numpy", "scipy"])
    images.save(out.change, hertz, affine, tr=run["tr"], metadata=about(Units="Hz", **found))
    transforms.save_xfm(out.motion, anew.matrices)
    brain = grids.onto(mask, grid, hertz.shape[:3], affine, order=0) > 0
    texts = {"tr": run["tr"], "mm_per_hz": found["MillimetresPerHertz"], "title": run["stem"]}
    save(changing_field(hertz, affine, mask=brain, **texts), out.figure)
