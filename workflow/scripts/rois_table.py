"""Summarise the noise ceilings of a subject in regions of interest."""

import numpy as np

from mebold.figures import regions as figures
from mebold.figures.style import save
from mebold.files import arrays, images, series, tables
from mebold.jobs import coverage, region_data, region_masks, region_table, sidecar
from mebold.jobs.script import job, owner
from mebold.variants import variant_of

with job(snakemake) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    settings, wildcards = params.settings, snakemake.wildcards
    mask, affine = images.load_mask(files.grid)
    held = [arrays.load_named(path) for path in files.given]
    given = region_masks.unpacked(held[0] if held else {}, mask.shape)
    about = sidecar.Sidecar(
        snakemake, packages=["numpy", "scipy", "h5py"], SpatialReference=params.reference
    )
    data = {"significant": images.load_mask(files.significant)[0][mask]}
    data |= {"r2": coverage.read_known(files.r2, mask), "nc": coverage.read_known(files.nc, mask)}
    data["threshold"] = tables.read_json(tables.sidecar(files.nc)).get("ChanceThreshold")
    brain = images.load_mask(files.brain)[0]
    made, left_out = region_data.make(
        given, mask=mask, brain=brain, dseg=images.load(files.dseg)[0], data=data,
        visual=[images.load_mask(path)[0] for path in files.visual[:1]],
        score=[images.load(path)[0][mask] for path in files.score[:1]],
        listed=params.visual, settings=settings, owner=wildcards.sub,
    )  # fmt: skip
    for name, reason in left_out.items():
        log.warning("region %s is left out: %s", name, reason)
    folder = out.table.rpartition("/")[0]
    prefix = f"{wildcards.subtask}_space-{params.space}"
    region_masks.write(made, folder, affine, prefix=prefix, about=about)
    regions = given | made
    summary = region_table.Summary(regions, mask, settings=settings, seed=params.seed)
    for path in files.maps:
        summary.add(path, output=snakemake.config["output_dir"])
    if settings["n_bootstrap"]:
        summary.add_intervals(
            dict(zip(files.models, files.trials, strict=True)),
            output=snakemake.config["output_dir"], zscores=params.zscore, groups=params.groups,
        )  # fmt: skip
    for path in files.metrics:
        summary.add_predictivity(tables.read_tsv(path))
    table = summary.table(subject=wildcards.sub.removeprefix("sub-"))
    tables.write_tsv(out.table, table)
    tables.write_json(tables.sidecar(out.table), about(**region_table.meanings(settings)))
    union = np.any([one.mask[mask] for one in summary.drawn().values()], axis=0)
    told = about(Units="percent", Description="Noise ceiling in the regions, 0 elsewhere.")
    series.save_map(out.ceiling, np.where(union, data["nc"], 0), mask, affine, metadata=told)
    primary = variant_of(params.primary)
    shown = region_table.shown(table, variant=primary, regions=list(regions))
    save(figures.roi_bars(shown, title=f"Noise ceilings of regions, {owner(snakemake)}"), out.bars)
    t1w = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    nc = series.unmask(np.nan_to_num(data["nc"]), mask)
    outlines = {name: one.mask for name, one in summary.drawn().items()}
    title = f"Regions, {owner(snakemake)}"
    save(figures.roi_mosaic(nc, affine, outlines, mask=brain, title=title, **t1w), out.mosaic)
