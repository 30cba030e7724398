"""Write one preprocessed echo of a run as NIfTI."""

from mebold.files import images, series, stream, tables
from mebold.files.metadata import bold_metadata
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    run = snakemake.params.run
    mask, affine = images.load_mask(snakemake.input.mask)
    data = series.open_variant(snakemake.input.store, echo=run["single_echo"])
    samples = tables.read_json(snakemake.input.samples)
    about = sidecar.Sidecar(
        snakemake,
        sources=[*snakemake.params.sources, snakemake.input.mask],
        chain=samples.pop("Sources"),
        packages=["nibabel", "numpy"],
        SpatialReference=snakemake.params.reference,
    )
    metadata = bold_metadata(run, echoes="single") | samples
    out = snakemake.output.bold
    stream.save(out, data, mask, affine, tr=run["tr_out"], metadata=about(**metadata))
