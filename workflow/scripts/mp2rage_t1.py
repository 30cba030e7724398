"""Look T1 up in the combined MP2RAGE image as the scanner made it."""

from mebold.anat import mp2rage, mp2rage_t1
from mebold.files import images
from mebold.jobs import sidecar
from mebold.jobs.script import job

with job(snakemake):
    files, settings = snakemake.input, snakemake.params.settings
    stored, affine = images.load_volume(files.unit1)
    given = None if settings["unit1_range"] == "auto" else tuple(settings["unit1_range"])
    unit = mp2rage.to_fraction(stored, given, name=files.unit1)
    protocol = mp2rage_t1.Protocol(**snakemake.params.protocol)
    found = mp2rage_t1.t1_map(unit, images.load_mask(files.head)[0], protocol)
    shortest, longest = mp2rage_t1.lookup(protocol)[1][[0, -1]]
    about = sidecar.Sidecar(snakemake, packages=["nibabel", "numpy"])
    text = {"Units": "s", "LookupRange": [float(shortest), float(longest)], "TransmitField": "1"}
    images.save(snakemake.output.t1map, found, affine, metadata=about(**text))
