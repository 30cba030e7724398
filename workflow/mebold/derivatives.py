"""Sidecars and description files of the derivative datasets: what made a file, from what."""

import os
from collections.abc import Iterable
from pathlib import Path

from mebold import bids
from mebold.provenance import CODE_URL, VERSION, generated_by

# Products that BIDS has no name for yet: pattern, what it is, and the datasets that hold it.
_IGNORED = (
    ("figures", "figures", ("",)),
    ("*_statmap.*", "statistical maps (betas, R2, noise ceilings)", ("glmsingle", "comparison")),
    ("*_dseg.*", "index of the chosen response function", ("glmsingle",)),
    ("*_mask.*", "masks of voxels", ("glmsingle", "comparison")),
    ("*_trials.*", "one row per single trial", ("glmsingle",)),
    ("*_model.*", "all results of the single-trial fit", ("glmsingle",)),
    (
        "*_summary.*",
        "what was fitted or compared, in words and numbers",
        ("glmsingle", "comparison"),
    ),
    ("*_boldmap.*", "maps about a series: noise level, removed components, residual", ("nordic",)),
    ("*_desc-nordic_bold.json", "parameters of the thermal noise removal", ("nordic",)),
    ("*_boldref.*", "reference images of BOLD runs", ("preproc",)),
    ("*_space-boldref_*", "grid, masks and maps of the output space", ("preproc",)),
    ("*_xfm.*", "transforms in ITK's text format", ("preproc",)),
    (
        "*_xfm.nii.gz",
        "displacement fields between T1w and template, as ITK stores them",
        ("anatomical",),
    ),
    ("*_xfm.json", "their sidecars", ("anatomical",)),
    ("xfm", "transforms of a subject or session", ("preproc",)),
    ("*_motion.*", "head motion of the acquired volumes", ("preproc",)),
    ("*_T2starmap.*", "T2* in the functional folder", ("preproc",)),
    ("*_S0map.*", "signal at echo time 0", ("preproc",)),
    ("*_desc-decay_statmap.*", "goodness of the T2* fit: rmse and R2", ("preproc",)),
    ("*_fieldmap.*", "B0 field in Hz", ("preproc",)),
    ("*_magnitude.*", "magnitude of the fieldmap", ("preproc",)),
    ("*_timeseries.*", "confound regressors", ("preproc-", "tedana")),
    ("*_outcome.json", "outcome of the ICA of a run", ("preproc-",)),
    ("*_mixing.*", "time courses of ICA components", ("preproc-",)),
    ("*_metrics.*", "tables of components or of variants", ("preproc-", "comparison")),
    ("tedana", "reports of tedana", ("preproc-",)),
    ("*_differences.tsv", "paired differences between variants", ("comparison",)),
    ("*_group.tsv", "comparison over subjects", ("comparison",)),
    ("*_rois.tsv", "noise ceilings of regions", ("rois",)),
)

_ABOUT = {
    "anatomical": "T1w: bias corrected, brain mask, tissue classes",
    "preproc": "Fits that all variants share: field, reference images, transforms, T2*",
    "nordic": "Thermal noise removal: denoised echoes as acquired, noise level, what was removed",
    "comparison": "Comparison of the variants: metrics, paired differences, figure",
    "rois": "Noise ceilings of regions of interest",
}


#: What the label of an output space stands for.
SPATIAL_REFERENCES = {
    "T1w": "T1w of the subject",
    "boldref": "Distortion-corrected reference image of the subject's first run",
}


def spatial_reference_of(space: str, template: str | None) -> str:
    """Return what the label of an output space stands for.

    Parameters
    ----------
    space : str
        T1w, boldref or the label of a template.
    template : str or None
        File of the template; None for the one that comes with nilearn.
    """
    if space in SPATIAL_REFERENCES:
        return SPATIAL_REFERENCES[space]
    return f"Template {space}: {template or 'ICBM 152 2009a nonlinear symmetric, as in nilearn'}"


class Sidecar:
    """Make sidecars for the outputs of a job.

    Parameters
    ----------
    snakemake : object
        The object that Snakemake gives to a script.
    packages : iterable of str
        Distributions whose versions are recorded.
    sources : iterable of path-like, optional
        Files the outputs were made from; the job's own inputs by default.
    **common
        Keys of every sidecar of this job.
    """

    def __init__(self, snakemake, *, packages, sources=None, **common):
        config = snakemake.config
        files = list(snakemake.input) if sources is None else list(sources)
        parameters = {
            key: value
            for key, value in dict(snakemake.params.items()).items()
            if key not in ("code", "sources")
        }
        self._common = {
            "Sources": source_uris(files, raw=config["bids_dir"], output=config["output_dir"]),
            "GeneratedBy": [generated_by(packages)],
            "Parameters": parameters,
            **common,
        }

    def __call__(self, **keys: object) -> dict:
        """Return the sidecar of one output."""
        return {**keys, **self._common}


def source_uris(files: Iterable[str | Path], *, raw: str, output: str) -> list[str]:
    """Return BIDS URIs of input files; intermediate files, which users do not get, are left out.

    A file of neither dataset, such as a warp of the configuration, is named by its file URI.
    """
    uris = []
    raw_root, output_root = Path(raw).resolve(), Path(output).resolve()
    for file in map(Path, files):
        path = Path(os.path.normpath(file.absolute()))
        for candidate in (path, path.resolve()):
            if candidate.is_relative_to(output_root):
                name, *rest = candidate.relative_to(output_root).parts
                if name != "work":
                    uris.append(bids.uri(name, "/".join(rest)))
                break
            if candidate.is_relative_to(raw_root):
                uris.append(bids.uri("raw", candidate.relative_to(raw_root).as_posix()))
                break
        else:
            uris.append(path.as_uri())
    return uris


def bold_metadata(run: dict, *, echoes: str) -> dict:
    """Return what BIDS and nilearn want to know of a preprocessed BOLD series.

    Parameters
    ----------
    run : dict
        Acquisition parameters as from `mebold.job_parameters`.
    echoes : {"single", "optcom", "ica"}
    """
    times = run["echo_times"]
    metadata = {
        "TaskName": run["task"],
        "RepetitionTime": run["tr_out"],
        "StartTime": 0.0,
        "SliceTimingCorrected": bool(run["slice_timing"]),
        "SkullStripped": True,
        "Units": "arbitrary",
    }
    if echoes == "single":
        metadata["EchoTime"] = times[run["single_echo"]]
    else:
        metadata["EchoTimesCombined"] = times
    return {key: value for key, value in metadata.items() if value is not None}


def echo_metadata(run: dict) -> dict:
    """Return what BIDS wants to know of one echo in its own space, sampled as acquired.

    Parameters
    ----------
    run : dict
        Acquisition parameters of the echo as from `mebold.job_parameters`.
    """
    metadata = {
        "TaskName": run["task"],
        "RepetitionTime": run["tr"],
        "EchoTime": run["echo_time"],
        "SliceTiming": run["slice_timing"],
        "SliceEncodingDirection": run["slice_encoding_direction"],
        "PhaseEncodingDirection": run["direction"],
        "TotalReadoutTime": run["readout_s"],
        "SliceTimingCorrected": False,
        "SkullStripped": False,
        "Units": "arbitrary",
    }
    return {key: value for key, value in metadata.items() if value is not None}


def description(name: str, *, raw: str, folder: Path, siblings: Iterable[str]) -> dict:
    """Return ``dataset_description.json`` of a dataset, with links that resolve BIDS URIs."""
    links = {"raw": os.path.relpath(Path(raw).absolute(), Path(folder).absolute())}
    links |= {other: f"../{other}" for other in siblings if other != name}
    return bids.dataset_description(
        f"mebold {name}",
        version=VERSION,
        description=_about(name),
        links=links,
        sources=[{"URL": links["raw"]}],
        code_url=CODE_URL,
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
        f"Written by mebold {VERSION}. Every image has a sidecar with its sources, parameters and "
        "software versions.",
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
