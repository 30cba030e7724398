"""Write a variant's series as the BOLD image that users read."""

from mebold.compare import quality
from mebold.confounds import drifts
from mebold.figures.multiecho import tsnr
from mebold.figures.style import save
from mebold.files import arrays, atomic, images, series, stream, tables, transforms
from mebold.files.metadata import bold_metadata
from mebold.geometry import affines, interpolation
from mebold.jobs import coverage, sidecar
from mebold.jobs.script import job
from mebold.multiecho import ica_outcome
from mebold.variants import variant_of

with job(snakemake):
    run = snakemake.params.run
    mask, affine = images.load_mask(snakemake.input.mask)
    data = series.open_variant(snakemake.input.store, echo=run["single_echo"])
    used = {"single": [], "optcom": ["tedana"], "ica": ["tedana"]}
    samples = tables.read_json(snakemake.input.samples)
    about = sidecar.Sidecar(
        snakemake,
        sources=[*snakemake.params.sources, snakemake.input.mask, snakemake.input.boldref],
        chain=samples.pop("Sources"),
        packages=["nibabel", "numpy", "numba", *used[snakemake.params.echoes]],
        SpatialReference=snakemake.params.reference,
        Variant=variant_of(snakemake.wildcards.dataset),
    )
    metadata = bold_metadata(run, echoes=snakemake.params.echoes)
    if snakemake.params.echoes == "ica":
        metadata |= ica_outcome.metadata(tables.read_json(snakemake.input.outcome))
    metadata |= samples
    out = snakemake.output
    stream.save(out.bold, data, mask, affine, tr=run["tr_out"], metadata=about(**metadata))
    if linked := out.get("linked"):  # the name by which other programs look for series
        atomic.link(out.bold, linked)
        atomic.link(tables.sidecar(out.bold), tables.sidecar(linked))
    points = affines.grid_points(mask.shape, affine)
    if snakemake.input.displacement:
        points += transforms.load_displacement(snakemake.input.displacement)[0].reshape(-1, 3)
    pull = {"matrix": transforms.load_xfm(snakemake.input.xfm)}
    seen = interpolation.resample_volume(*images.load(snakemake.input.boldref), points, **pull)
    images.save(out.boldref, seen.reshape(mask.shape), affine, metadata=about(SkullStripped=False))
    share, brain = arrays.load(snakemake.input.coverage), images.load_mask(snakemake.input.brain)[0]
    known = {"mask": mask, "brain": brain, "affine": affine, "about": about}
    measured = coverage.save(out, data, share, **known)
    steady = data[:, metadata["NonSteadyStateSamples"] :]
    degree = drifts.degree(steady.shape[1], tr=run["tr_out"])
    ratio = series.unmask(quality.tsnr(steady, degree=degree), mask)
    title = f"Temporal signal-to-noise ratio, {run['stem']}"
    save(tsnr(ratio, affine, mask=measured, title=title), out.figure)
