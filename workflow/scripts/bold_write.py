"""Write a variant's series as the BOLD image that users read."""

from mebold import compare_quality, derivatives, figures, glm_blocks, ica_outcome, nifti, series
from mebold.jobs import job

with job(snakemake):
    run = snakemake.params.run
    mask, affine = nifti.load_mask(snakemake.input.mask)
    data = series.open_variant(snakemake.input.store, echo=run["single_echo"])
    about = derivatives.Sidecar(
        snakemake,
        sources=snakemake.params.sources,
        packages=["tedana", "nibabel", "numpy", "numba"],
        SpatialReference=snakemake.params.reference,
    )
    metadata = derivatives.bold_metadata(run, echoes=snakemake.params.echoes)
    if snakemake.params.echoes == "ica":
        metadata |= ica_outcome.metadata(nifti.read_json(snakemake.input.outcome))
    metadata |= nifti.read_json(snakemake.input.samples)
    out = snakemake.output
    nifti.save_volumes(
        out.bold,
        series.volumes(data, mask),
        affine,
        shape=(*mask.shape, data.shape[1]),
        tr=run["tr_out"],
        metadata=about(**metadata),
    )
    covered = series.unmask(data.std(axis=1) > 0, mask, fill=False)
    nifti.save(out.mask, covered, affine, dtype="uint8", metadata=about(Type="Brain"))
    degree = glm_blocks.degree(data.shape[1], tr=run["tr_out"])
    ratio = series.unmask(compare_quality.tsnr(data, degree=degree), mask)
    title = f"Temporal signal-to-noise ratio, {run['stem']}"
    figures.save(figures.tsnr(ratio, affine, mask=mask, title=title), out.figure)
