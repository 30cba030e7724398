"""Draw the carpet and the confounds of a run, and measure its quality for the pages."""

import numpy as np

from mebold.anat import labels
from mebold.compare import quality
from mebold.confounds import drifts
from mebold.figures import confounds, flicker
from mebold.figures.style import save
from mebold.files import images, series, tables, transforms
from mebold.jobs import sidecar
from mebold.jobs.script import job

TISSUES = {"grey matter": labels.GM, "white matter": labels.WM, "CSF": labels.CSF}

with job(snakemake):
    files, out, run = snakemake.input, snakemake.output, snakemake.params.run
    mask, brain = (images.load_mask(files[name])[0] for name in ("mask", "brain"))
    tissue = np.round(images.load(files.dseg)[0])[mask]
    data = series.open_variant(files.store, echo=run["single_echo"])
    echoes = series.open(files.echoes)
    echoes = echoes if echoes.ndim == 3 else echoes[np.newaxis]
    early = tables.read_json(files.samples)["NonSteadyStateSamples"]
    table, about = tables.read_tsv(files.table), tables.read_json(files.info)
    degree = drifts.degree(data.shape[1] - early, tr=run["tr_out"])
    inside, grey = brain[mask], tissue == labels.GM

    def median_tsnr(values, member):
        """Median over voxels that hold signal."""
        found = quality.tsnr(values[:, early:], degree=degree)[member]
        return float(np.median(found[found > 0])) if (found > 0).any() else None

    measured = {"tsnr": median_tsnr(data, inside), "tsnr_grey_matter": median_tsnr(data, grey)}
    measured["tsnr_echoes"] = [median_tsnr(echo, inside) for echo in echoes]
    for name, column in (("dvars_std", "std_dvars"), ("dvars_nstd", "dvars")):
        measured[name] = float(table[column][early + 1 :].mean())
    made = sidecar.Sidecar(snakemake, packages=["numpy", "pandas"])
    tables.write_json(out.info, made(**measured))
    tissues = {name: (tissue == label) & inside for name, label in TISSUES.items()}
    if not any(member.any() for member in tissues.values()):  # no T1w, no classes
        tissues = {"brain": inside}
    known = {"tr": run["tr_out"], "threshold_mm": snakemake.params.fd_threshold_mm}
    title = f"{run['stem']}, {snakemake.wildcards.dataset}"
    figure = confounds.carpet(data, tissues, table, **known, non_steady=early, title=title)
    save(figure, out.carpet)
    components: dict = {}
    for entry in about.values():
        if "VarianceExplained" in entry:
            kept = components.setdefault(entry["Mask"], [])
            kept.append((entry["VarianceExplained"], entry["Retained"]))
    save(confounds.shared(table[early:], components, title=run["stem"]), out.confounds)
    pull = np.linalg.inv(transforms.load_xfm(files.xfm))
    shown = {}
    for name, key in (("not corrected", "distorted"), ("corrected", "boldref")):
        volume, affine = images.load(files[key])
        shown[name] = (volume, pull @ affine)
    if files.boldref == files.distorted:
        shown["no field to correct with"] = shown.pop("corrected")
    outlines = dict(zip(("mask", "affine"), images.load(files.anchor_mask), strict=True))
    outlines["dseg"] = images.load(files.tissue)[0] if files.tissue else None
    frames = flicker.frames(shown, **outlines, title=run["stem"])
    for figure, path in zip(frames.values(), (out.before, out.after), strict=True):
        save(figure, path)
