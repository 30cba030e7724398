"""Description files of the derivative datasets: what each is for, and what BIDS has no name for."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mebold.files import provenance


def dataset_description(
    name: str,
    *,
    version: str,
    description: str | None = None,
    links: Mapping[str, str] | None = None,
    sources: list[Mapping[str, str]] | None = None,
    code_url: str | None = None,
) -> dict:
    """Return the content of a derivative dataset's ``dataset_description.json``.

    Parameters
    ----------
    name : str
        Title of the dataset.
    version : str
        Of this workflow.
    description : str, optional
        One sentence on what made the dataset.
    links : mapping, optional
        ``DatasetLinks``: the names that `uri` uses, to a path or URL of each dataset.
    sources : list of mappings, optional
        ``SourceDatasets``: each with ``URL``, ``DOI`` or ``Version``.
    code_url : str, optional
        Where the code of this version is found.
    """
    generated = {"Name": "mebold", "Version": version}
    if description:
        generated["Description"] = description
    if code_url:
        generated["CodeURL"] = code_url
    content = {
        "Name": name,
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [generated],
    }
    if sources:
        content["SourceDatasets"] = [dict(source) for source in sources]
    if links:
        content["DatasetLinks"] = dict(links)
    return content


# Products that BIDS has no name for yet: pattern, what it is, and the datasets that hold it.
_IGNORED = (
    ("figures", "figures", ("",)),
    ("*_statmap.*", "statistical maps (betas, R2, noise ceilings)", ("glmsingle", "comparison")),
    ("*_dseg.*", "index of the chosen response function", ("glmsingle",)),
    ("*_mask.*", "masks of voxels", ("glmsingle", "comparison")),
    ("*_trials.*", "one row per single trial", ("glmsingle",)),
    ("*_images.*", "one row per image", ("glmsingle",)),
    ("*_model.*", "all results of the single-trial fit", ("glmsingle",)),
    (
        "*_summary.*",
        "what was fitted or compared, in words and numbers",
        ("glmsingle", "comparison"),
    ),
    ("*_boldmap.*", "maps about a series: noise, what was removed, what can survive", ("nordic",)),
    (
        "*_desc-coverage_boldmap.*",
        "share of the samples inside the field of view",
        ("preproc-", "tedana"),
    ),
    ("*_desc-nordic_bold.json", "parameters of the thermal noise removal", ("nordic",)),
    ("*_boldref.*", "reference images of BOLD runs", ("preproc", "tedana")),
    ("*_space-boldref_*", "grid, masks and maps of the output space", ("preproc",)),
    ("*_xfm.*", "transforms in ITK's text format", ("preproc",)),
    (
        "*_xfm.nii.gz",
        "displacement fields between T1w and template, as ITK stores them",
        ("anatomical",),
    ),
    ("*_xfm.json", "their sidecars", ("anatomical",)),
    ("*_xfm.txt", "transforms between images of the anatomy, as ITK stores them", ("anatomical",)),
    ("*_anatmap.*", "volume of the subject over volume of the template", ("anatomical",)),
    ("fmap", "B0 field in Hz and magnitude of a multi-echo gradient echo", ("anatomical",)),
    (
        "*desc-anat_measures.*",
        "volumes, contrast and noise of every scan, and of all in one table",
        ("anatomical",),
    ),
    ("xfm", "transforms of a subject or session", ("preproc",)),
    ("*_motion.*", "head motion of the acquired volumes", ("preproc",)),
    ("*_T2starmap.*", "T2* in the functional folder", ("preproc",)),
    ("*_S0map.*", "signal at echo time 0", ("preproc",)),
    ("*_desc-decay_statmap.*", "goodness of the T2* fit: rmse and R2", ("preproc",)),
    ("*_fieldmap.*", "B0 field in Hz", ("preproc",)),
    ("*_magnitude.*", "magnitude of the fieldmap", ("preproc",)),
    ("*_timeseries.*", "confound regressors", ("preproc-", "tedana")),
    ("*_desc-quality_bold.json", "image quality of a run", ("preproc-", "tedana")),
    ("*_outcome.json", "outcome of the ICA of a run", ("preproc-", "tedana")),
    ("*_mixing.*", "time courses of ICA components", ("preproc-", "tedana")),
    ("*_metrics.*", "tables of components or of variants", ("preproc-", "tedana", "comparison")),
    ("tedana", "reports of tedana", ("preproc-",)),
    ("*_differences.tsv", "paired differences between variants", ("comparison",)),
    ("*_group.tsv", "comparison over subjects", ("comparison",)),
    ("*_advice.json", "which variant the data support, at what price", ("comparison",)),
    ("*_statmap.*", "effect (percent) and z maps of contrasts between conditions", ("localizers",)),
    ("*_contrasts.*", "contrasts of a localizer, and the runs that they rest on", ("localizers",)),
    ("*_glm.json", "GLM of the conditions of a localizer: what was fitted", ("localizers",)),
    ("*_rois.*", "noise ceilings of regions, and what each region is made of", ("rois",)),
    ("sub-*/*", "masks of regions, in a folder per category", ("rois",)),
    ("*_statmap.*", "noise ceiling in the regions", ("rois",)),
    ("rois", "masks of regions, named after them alone", ("atlases",)),
)

_ABOUT = {
    "anatomical": "T1w: bias corrected, brain mask, tissue classes",
    "preproc": "Fits that all variants share: field, reference images, transforms, T2*",
    "nordic": "Thermal noise removal: denoised echoes as acquired, noise level, what was removed",
    "comparison": "Comparison of the variants: metrics, paired differences, figure",
    "rois": "Regions of interest: masks, and their noise ceilings",
    "localizers": "Localizers: contrasts between conditions, per session and over all runs",
    "atlases": "Masks of regions of interest, for the older client of the reference dataset",
}


def description(name: str, *, raw: str, folder: Path, siblings: Iterable[str]) -> dict:
    """Return ``dataset_description.json`` of a dataset, with links that resolve BIDS URIs."""
    links = {"raw": os.path.relpath(Path(raw).absolute(), Path(folder).absolute())}
    links |= {other: f"../{other}" for other in siblings if other != name}
    return dataset_description(
        f"mebold {name}",
        version=provenance.version(),
        description=_about(name),
        links=links,
        sources=[{"URL": links["raw"]}],
        code_url=provenance.CODE_URL,
    )


def texts(name: str) -> dict[str, str]:
    """Return the text files of a dataset: ``.bidsignore`` and ``README.md``."""
    ignored = {
        pattern: meaning
        for pattern, meaning, holders in _IGNORED
        if name.startswith(holders) and not (holders == ("preproc",) and name != "preproc")
    }
    lines = [f"- `{pattern}`: {meaning}" for pattern, meaning in ignored.items()]
    readme = [
        f"# {name}",
        f"{_about(name)}.",
        f"Written by mebold {provenance.version()}. Every image has a sidecar with its sources, "
        "parameters and software versions.",
        "## Files outside the BIDS standard",
        "`.bidsignore` lists products that BIDS has no name for yet:",
        "\n".join(lines),
    ]
    return {".bidsignore": "\n".join(ignored) + "\n", "README.md": "\n\n".join(readme) + "\n"}


def _about(name: str) -> str:
    if name in _ABOUT:
        return _ABOUT[name]
    if name.startswith("glmsingle"):
        return f"Single-trial betas and noise ceilings ({name.partition('-')[2]})"
    return f"Preprocessed BOLD ({name.removeprefix('preproc-')})"
