"""Write the map of a noise ceiling that not every design allows."""

import json

import numpy as np

from mebold.files import arrays, images, series
from mebold.jobs.script import job

with job(snakemake) as log:
    name, out = snakemake.wildcards.part, snakemake.output
    mask, affine = images.load_mask(snakemake.input.mask)
    saved = arrays.load_named(snakemake.input.parts)
    values, above = saved[f"{name}_nc"], saved[f"{name}_significant"]
    about = json.loads(str(saved[f"{name}_about"]))
    if not about["ImagesPerRepeatCount"]:
        log.warning("%s: no image enters, because of runs or trials that were left out", name)
    percent, mark = about | {"Units": "percent"}, about | {"Type": "ROI"}
    series.save_map(out.nc, values, mask, affine, metadata=percent)
    series.save_map(out.significant, above, mask, affine, dtype=np.uint8, metadata=mark)
