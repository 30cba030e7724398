"""Read a map between white and pial surface, for the vertices of the subject or of a template."""

import numpy as np

from mebold.files import images, series, surfaces, tables, transforms
from mebold.geometry import displacement
from mebold.jobs import cortex, coverage, sidecar
from mebold.jobs.script import job
from mebold.rois.surfaces import between_spheres, sample

with job(snakemake):
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    space = snakemake.wildcards.surface
    mask, affine = images.load_mask(files.mask)
    values = coverage.read_known(files.map, mask)
    if params.zero_is_unknown:
        values = np.where(values == 0, np.nan, values)
    known = series.unmask(np.isfinite(values), mask, fill=False)
    volume = series.unmask(np.nan_to_num(values), mask)
    if files.get("white"):
        brain = images.load_mask(files.brain)[0]
        least = params.surface["least_inside"]
        found = cortex.read(files.white, files.pial, brain=brain, affine=affine, least_inside=least)
        places = {hemi: (one.white, one.pial) for hemi, one in found.items()}
    else:
        warp = transforms.load_displacement(files.to_t1w)
        places = {}
        for hemi in surfaces.HEMISPHERES:
            both = [cortex.fsaverage5(hemi, name)[0] for name in ("white", "pial")]
            places[hemi] = [one + displacement.at_points(*warp, one) for one in both]
    units = tables.read_json(tables.sidecar(files.map)).get("Units", "1")
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numpy", "scipy", "nilearn"])
    way = cortex.WAYS[space if files.get("white") else "template"]
    said = {"SpatialReference": cortex.REFERENCES[space], "Description": way}
    for index, (path, (hemi, (white, pial))) in enumerate(
        zip((out.left, out.right), places.items(), strict=True)
    ):
        read = sample(volume, affine, white, pial, depths=params.surface["depths"], known=known)
        if files.get("sphere"):
            sphere, faces, _ = surfaces.read_surface(files.sphere[index], placed=False)
            if space == "fsaverage5":
                target = cortex.fsaverage5(hemi, "sphere")[0]
            else:
                target = surfaces.read_surface(files.target[index], placed=False)[0]
            read = between_spheres(read, sphere, faces, target)
        surfaces.save_map(path, read, hemi=hemi, metadata=about(Units=units, **said))
