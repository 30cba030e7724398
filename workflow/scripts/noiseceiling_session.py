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
    with open_model(files.model) as model:
        trials = [tables.read_tsv(files.trials)]
        found = ceilings.of_trials([model["betas"]], trials, **chosen)
    about = sidecar.Sidecar(
        snakemake,
        packages=["numpy", "h5py"],
        SpatialReference=params.reference,
        ZscoredWithin=params.zscore,
        ImagesPerRepeatCount=found["all"].repeats,
    )
    percent = {"metadata": about(Units="percent")}
    series.save_map(out.nc, found["all"].nc, mask, affine, **percent)
    series.save_map(out.between, found["between"].nc, mask, affine, **percent)
    series.save_map(out.ncsnr, found["all"].ncsnr, mask, affine, metadata=about(Units="1"))
    drawn = dict(zip(("t1w", "t1w_affine"), images.load(files.underlay), strict=True))
    drawn["subtitle"] = snakemake.wildcards.group
    ceiling = series.unmask(np.nan_to_num(found["all"].nc), mask)
    save(noise_ceiling(ceiling, affine, mask=mask, **drawn), out.figure)
