"""Make the field of every volume of a run from its phase by MEDIC, and undistort the reference."""

from mebold.figures.sdc import distortion
from mebold.figures.style import save
from mebold.files import images, tables, transforms
from mebold.geometry import displacement
from mebold.jobs import echoes, sidecar
from mebold.jobs.script import job
from mebold.sdc import medic

with job(snakemake):
    files, run, out = snakemake.input, snakemake.params.run, snakemake.output
    read = {"volumes": tables.read_json(files.volumes)["Volumes"]}
    read["phase_range"] = snakemake.params.settings["phase_range"]
    magnitudes, phases = echoes.read(files, **read)
    affine = images.load_header(files.magnitude[0]).affine
    boldref, boldref_affine = images.load(files.boldref)
    mask = images.load_mask(files.mask)[0]
    epi = {key: run[key] for key in ("direction", "readout_s")}
    native, undistorted = medic.fields(
        magnitudes, phases, affine, echo_times_s=run["echo_times"], **epi,
        n_threads=snakemake.threads,
    )  # fmt: skip
    motion = transforms.load_xfm(files.motion).reshape(-1, 4, 4)
    grid = {"shape": boldref.shape, "boldref_affine": boldref_affine}
    hertz = medic.static_field(undistorted, affine, motion=motion, **grid)
    corrected = displacement.undistorted(boldref, boldref_affine, field_hz=hertz, **epi)
    about = sidecar.Sidecar(snakemake, packages=["warpkit", "nibabel", "numba", "numpy"])
    images.save(out.boldref, corrected, boldref_affine, metadata=about(SkullStripped=False))
    images.save(out.field, hertz, boldref_affine, metadata=about(Units="Hz"))
    images.save(out.native, native, affine)
    figure = distortion(
        boldref, corrected, boldref_affine, mask=mask, field_hz=hertz, subtitle=run["stem"]
    )
    save(figure, out.figure)
