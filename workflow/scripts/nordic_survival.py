"""Map the weakest response that survived the thermal noise removal of one echo."""

from mebold.figures.nordic import weakest_response
from mebold.figures.style import save
from mebold.files import images, tables
from mebold.jobs.script import job
from mebold.jobs.sidecar import Sidecar
from mebold.nordic import weakest
from mebold.singletrial import as_acquired

with job(snakemake) as log:
    inputs, params, out = snakemake.input, snakemake.params, snakemake.output
    magnitude, affine = images.load(inputs.magnitude[0])
    made = tables.read_json(inputs.info)
    rows, origin = as_acquired.of_run(
        tables.read_tsv(inputs.events) if inputs.events else None,
        tr=params.tr["tr"],
        n_volumes=magnitude.shape[3] - made["NoiseVolumes"]["AtTheEnd"],
        **params.design,
    )
    asked = dict(params.asked)
    limit = {"weakest_limit_percent": asked.pop("weakest_limit_percent")}
    noise = {name: images.load_volume(inputs[name])[0] for name in ("gfactor", "noise_sd")}
    maps, head = weakest.maps(magnitude, rows, made, **noise, **params.patches, **asked)
    found = weakest.record(maps, head, origin=origin, **asked, **limit)
    log.info(found["Summary"])
    for note in found["Warnings"]:
        log.warning(note)
    about = Sidecar(snakemake, packages=["numpy", "nibabel"], Units=weakest.UNITS, **found)
    drawn = {name: maps[name] for name in ("shared", "images")}
    for name, values in drawn.items():
        images.save(out[name], values, affine, metadata=about())
    title = f"What can survive NORDIC, {snakemake.wildcards.stem}{snakemake.wildcards.echo}"
    # Backticks mark keys of the configuration in texts; a figure has no such letters.
    words = "\n".join([found["Summary"], *(f"Warning: {note}" for note in found["Warnings"])])
    words = words.replace("`", "")
    figure = weakest_response(**drawn, affine=affine, mask=head, title=title, subtitle=words)
    save(figure, out.figure)
