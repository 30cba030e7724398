"""Noise ceiling of one session, from its repeated images."""

import numpy as np

from mebold.figures.noiseceiling import noise_ceiling
from mebold.figures.style import save
from mebold.files import images, series, tables
from mebold.files.model import open_model
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.noiseceiling import ceilings, maps

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    mask, affine = images.load_mask(files.mask)
    chosen = {"selections": maps.session_selections(), "zscore": params.zscore}
    chosen |= {"seed": params.seed, **params.null}
    with open_model(files.model) as model:
        trials = [tables.read_tsv(files.trials)]
        found, chance = ceilings.with_chance([model["betas"]], trials, **chosen)
    about = sidecar.Sidecar(
        snakemake,
        packages=["numpy", "scipy", "h5py"],
        SpatialReference=params.reference,
        ZscoredWithin=params.zscore,
        ImagesPerRepeatCount=found["all"].repeats,
    )
    places = {"all": (out.nc, out.significant), "between": (out.between, out.between_significant)}
    for name, (path, region) in places.items():
        said = about(**maps.by_chance(chance[name], found[name]))
        percent, mark = said | {"Units": "percent"}, said | {"Type": "ROI"}
        series.save_map(path, found[name].nc, mask, affine, metadata=percent)
        above = chance[name].significant
        series.save_map(region, above, mask, affine, dtype=np.uint8, metadata=mark)
    series.save_map(out.ncsnr, found["all"].ncsnr, mask, affine, metadata=about(Units="1"))
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn |= {"subtitle": snakemake.wildcards.group, "threshold": chance["all"].threshold}
    ceiling = series.unmask(np.nan_to_num(found["all"].nc), mask)
    save(noise_ceiling(ceiling, affine, mask=mask, **drawn), out.figure)
