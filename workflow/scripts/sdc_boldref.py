"""Bring the field to the reference image of a run and undistort that image."""

from mebold import boldref_field, derivatives, figures, fmap_session, hmc, nifti, regrid, warp
from mebold.jobs import job

with job(snakemake) as log:
    run, info = snakemake.params.run, nifti.read_json(snakemake.input.info)
    boldref, affine = nifti.load(snakemake.input.boldref)
    mask = nifti.load_mask(snakemake.input.mask)[0]
    maps, map_affine = nifti.load(snakemake.input.field)
    weights = fmap_session.run_weights(
        info["Fieldmaps"], info["AcquisitionTimes"], wanted=run["fieldmaps"], at_s=run["centre_s"]
    )
    log.info("weights of the field maps: %s", weights)
    field = fmap_session.weighted(maps, info["Fieldmaps"], weights)
    session = fmap_session.Map(field, nifti.load(snakemake.input.magnitude)[0], map_affine)
    smoothing = hmc.smoothing(affine, snakemake.params.hmc)
    epi = {key: run[key] for key in ("direction", "readout_s")}
    hertz, to_fieldmap = boldref_field.at_boldref(
        session, boldref, affine, mask=mask, **epi, **smoothing
    )
    corrected = warp.undistorted(boldref, affine, field_hz=hertz, **epi)
    about = derivatives.Sidecar(snakemake, packages=["numba", "numpy", "scipy"])
    out = snakemake.output
    nifti.save(out.boldref, corrected, affine, metadata=about(SkullStripped=False))
    made = {"Units": "Hz", "BoldrefToFieldmap": to_fieldmap, "FieldmapWeights": weights}
    nifti.save(out.field, hertz, affine, metadata=about(**made))
    outlines = []
    if session.magnitude.any():
        brain = fmap_session.brain_of(session)
        pull = {"matrix": to_fieldmap}
        onto = regrid.onto(brain, map_affine, boldref.shape, affine, **pull) > 0.5
        outlines = [(onto, affine)]
    figure = figures.distortion(
        boldref, corrected, affine,
        outlines=outlines, mask=mask, field_hz=hertz, subtitle=run["stem"],
    )  # fmt: skip
    figures.save(figure, out.figure)
