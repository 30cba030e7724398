"""Noise ceiling of one session, from its repeated images."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import PRINT_DPI, save
from mebold.files import images, series, tables
from mebold.files.model import open_model
from mebold.jobs import ceiling_parts, coverage, sidecar
from mebold.jobs.script import job, owner
from mebold.noiseceiling import ceilings, maps

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    chosen = {"selections": maps.session_selections(), "zscore": params.zscore}
    chosen |= {"seed": params.seed, **params.null}
    with open_model(files.model) as model:
        trials = [tables.read_tsv(files.trials)]
        found, chance = ceilings.with_chance([model["betas"]], trials, **chosen)
    space = {"SpatialReference": params.reference, "ZscoredWithin": params.zscore}
    space |= coverage.known(files.coverage)
    about = sidecar.Sidecar(snakemake, packages=["numpy", "scipy", "h5py"], **space)
    every = found["all"]
    said = about(ImagesPerRepeatCount=every.repeats, **maps.by_chance(chance["all"], every))
    said["MapsNotWritten"] = maps.without(found, chosen["selections"])
    percent, mark = said | {"Units": "percent"}, said | {"Type": "ROI"}
    series.save_map(out.nc, every.nc, mask, affine, metadata=percent)
    above = chance["all"].significant
    series.save_map(out.significant, above, mask, affine, dtype=np.uint8, metadata=mark)
    series.save_map(out.ncsnr, every.ncsnr, mask, affine, metadata=about(Units="1"))
    ceiling_parts.save(out.parts, found, chance, about=about)
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn |= {"title": f"Noise ceiling, {owner(snakemake)}", "threshold": chance["all"].threshold}
    ceiling = series.unmask(np.nan_to_num(every.nc), mask)
    drawn["significant"] = series.unmask(np.asarray(above, np.uint8), mask)
    save(noise_ceiling(ceiling, affine, mask=mask, **drawn), out.figure, dpi=PRINT_DPI)
