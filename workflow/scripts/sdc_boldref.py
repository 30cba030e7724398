"""Bring the field to the reference image of a run and undistort that image."""

from mebold.figures.sdc import distortion
from mebold.figures.style import save
from mebold.files import images, tables
from mebold.fmap.session import Map, run_weights, weighted
from mebold.geometry import displacement
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.registration import doubts, rigid
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
    known = {"mask": mask, "seed": snakemake.params.seed, **epi, **smoothing}
    hertz, to_fieldmap, quality = at_boldref(session, boldref, affine, **known)
    other = "the magnitude of the fieldmap"
    found = doubts.of(quality, snakemake.params.limits, doubts.FIELDMAP, other=other)
    for doubt in found:
        log.warning("%s: %s", snakemake.output.field, doubt)
    corrected = displacement.undistorted(boldref, affine, field_hz=hertz, **epi)
    about = sidecar.Sidecar(snakemake, packages=["antspyx", "numba", "numpy", "scipy"])
    out = snakemake.output
    images.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    made = {"Units": "Hz", "BoldrefToFieldmap": to_fieldmap, "FieldmapWeights": weights}
    made |= {"Quality": quality, "Warnings": found}
    images.save(out.field, hertz, affine, metadata=about(**made))
    lines = outlines(session, boldref.shape, affine, to_fieldmap)
    text = " - ".join(filter(None, [run["stem"], doubts.caption(quality, found)]))
    drawn = {"outlines": lines, "mask": mask, "field_hz": hertz, "subtitle": text}
    figure = distortion(boldref, corrected, affine, **drawn)
    save(figure, out.figure)
