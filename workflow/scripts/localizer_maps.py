"""Combine the contrasts of a localizer over all runs of a subject, and over each half of them."""

from mebold.figures.localizer import contrast_rows
from mebold.figures.style import save
from mebold.files import arrays, images, series, tables
from mebold.jobs import contrast_maps, sidecar
from mebold.jobs.script import job, owner

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    fits = contrast_maps.Fits.unpacked(arrays.load_named(path) for path in files.estimates)
    told = [tables.read_json(path) for path in files.info]
    meanings = {name: text for one in told for name, text in one["Contrasts"].items()}
    left_out = {
        name: {run: why for one in told for run, why in one["LeftOut"].get(name, {}).items()}
        for name in meanings
    }
    maps = fits.over_runs(halves=True)
    about = sidecar.Sidecar(
        snakemake, packages=["nilearn", "numpy", "nibabel"], SpatialReference=params.reference
    )
    prefix = out.table.removesuffix("_desc-localizer_contrasts.tsv") + f"_space-{params.space}"
    contrast_maps.write(maps, mask, affine, prefix=prefix, about=about)
    tables.write_tsv(out.table, contrast_maps.table(meanings, fits, maps, left_out))
    tables.write_json(tables.sidecar(out.table), about(**contrast_maps.MEANINGS))
    arrays.save_named(out.maps, **maps)
    t1w = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    shown = {name: maps[f"z.{name}"] for name in meanings if f"z.{name}" in maps}
    grids = {name: series.unmask(values, mask) for name, values in shown.items()}
    titles = {name: f"{name}: {meanings[name]}" for name in grids}
    title = f"Contrasts of the localizer, {owner(snakemake)}"
    save(contrast_rows(grids, affine, titles=titles, mask=mask, title=title, **t1w), out.figure)
