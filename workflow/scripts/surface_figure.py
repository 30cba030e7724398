"""Draw the noise ceiling of a subject on the inflated average brain."""

from mebold.figures.regions import on_surface
from mebold.figures.style import save
from mebold.files import surfaces
from mebold.jobs import cortex
from mebold.jobs.script import job, owner

with job(snakemake):
    files = {"L": snakemake.input.left, "R": snakemake.input.right}
    values = {hemi: surfaces.read_map(path) for hemi, path in files.items()}
    inflated = {hemi: cortex.fsaverage5(hemi, "infl") for hemi in files}
    about = {"unit": "Noise ceiling (%)", "title": f"Noise ceiling, {owner(snakemake)}"}
    save(on_surface(values, inflated, **about), snakemake.output[0])
