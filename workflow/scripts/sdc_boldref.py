"""Bring the field to the reference image of a run and undistort that image."""

from mebold.figures.sdc import distortion
from mebold.figures.style import save
from mebold.files import images, tables
from mebold.fmap.session import Map, run_weights, weighted
from mebold.geometry import displacement
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import rigid
from mebold.sdc.boldref import at_boldref, outlines

with job(snakemake) as log:
    run, info = snakemake.params.run, tables.read_json(snakemake.input.info)
    boldref, affine = images.load(snakemake.input.boldref)
    mask = images.load_mask(snakemake.input.mask)[0]
    maps, map_affine = images.load(snakemake.input.field)
    weights = run_weights(
        info["Fieldmaps"], info["AcquisitionTimes"], wanted=run["fieldmaps"], at_s=run["centre_s"]
    )
    log.info("weights of the field maps: %s", weights)
    field = weighted(maps, info["Fieldmaps"], weights)
    session = Map(field, images.load(snakemake.input.magnitude)[0], map_affine)
    smoothing = rigid.smoothing(affine, snakemake.params.smoothing)
    epi = {key: run[key] for key in ("direction", "readout_s")}
    hertz, to_fieldmap = at_boldref(session, boldref, affine, mask=mask, **epi, **smoothing)
    corrected = displacement.undistorted(boldref, affine, field_hz=hertz, **epi)
    about = sidecar.Sidecar(snakemake, packages=["numba", "numpy", "scipy"])
    out = snakemake.output
    images.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    made = {"Units": "Hz", "BoldrefToFieldmap": to_fieldmap, "FieldmapWeights": weights}
    images.save(out.field, hertz, affine, metadata=about(**made))
    lines = outlines(session, boldref.shape, affine, to_fieldmap)
    drawn = {"outlines": lines, "mask": mask, "field_hz": hertz, "subtitle": run["stem"]}
    figure = distortion(boldref, corrected, affine, **drawn)
    save(figure, out.figure)
