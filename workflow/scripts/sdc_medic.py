"""Make the field of every volume of a run from its phase by MEDIC, and undistort the reference."""

from mebold import derivatives, figures, fmap_phase, medic, nifti, warp
from mebold.jobs import job

with job(snakemake):
    files, run, out = snakemake.input, snakemake.params.run, snakemake.output
    volumes, wanted = nifti.read_json(files.volumes)["Volumes"], snakemake.params.settings
    wanted = None if wanted["phase_range"] == "auto" else wanted["phase_range"]
    magnitudes = [nifti.load(path)[0][..., :volumes] for path in files.magnitude]
    phases = []
    for path in files.phase:
        stored = nifti.load(path)[0][..., :volumes]
        phases.append(fmap_phase.series_to_radians(stored, value_range=wanted, name=path))
    affine = nifti.load_header(files.magnitude[0]).affine
    boldref, boldref_affine = nifti.load(files.boldref)
    mask = nifti.load_mask(files.mask)[0]
    epi = {key: run[key] for key in ("direction", "readout_s")}
    native, undistorted = medic.fields(
        magnitudes, phases, affine, echo_times_s=run["echo_times"], **epi,
        n_threads=snakemake.threads,
    )  # fmt: skip
    motion = nifti.load_xfm(files.motion).reshape(-1, 4, 4)
    grid = {"shape": boldref.shape, "boldref_affine": boldref_affine}
    hertz = medic.static_field(undistorted, affine, motion=motion, **grid)
    corrected = warp.undistorted(boldref, boldref_affine, field_hz=hertz, **epi)
    about = derivatives.Sidecar(snakemake, packages=["warpkit", "nibabel", "numba", "numpy"])
    nifti.save(out.boldref, corrected, boldref_affine, metadata=about(SkullStripped=False))
    nifti.save(out.field, hertz, boldref_affine, metadata=about(Units="Hz"))
    nifti.save(out.native, native, affine)
    figure = figures.distortion(
        boldref, corrected, boldref_affine, mask=mask, field_hz=hertz, subtitle=run["stem"]
    )
    figures.save(figure, out.figure)
