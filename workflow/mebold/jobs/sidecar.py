"""Sidecars of the outputs of a job: what made a file, from what."""

import os
from collections.abc import Iterable
from pathlib import Path

from mebold.files.provenance import generated_by
from mebold.jobs.record import Places


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
    chain : iterable of str
        URIs of what these were made from, where users do not get them.
    **common
        Keys of every sidecar of this job.
    """

    def __init__(self, snakemake, *, packages, sources=None, chain=(), **common):
        config = snakemake.config
        files = list(snakemake.input) if sources is None else list(sources)
        places = Places(config["bids_dir"], config["output_dir"])
        parameters = {
            key: value
            for key, value in dict(snakemake.params.items()).items()
            if key not in ("code", "sources", "images")
        }
        self._common = {
            "Sources": list(dict.fromkeys([*sources_of(snakemake, files), *chain])),
            "GeneratedBy": [generated_by(packages)],
            "Parameters": parameters,
            "Code": snakemake.params.get("code", "unknown"),
            "Inputs": raw_inputs(places, snakemake.input),
            **common,
        }

    def __call__(self, **keys: object) -> dict:
        """Return the sidecar of one output."""
        return {**keys, **self._common}


def sources_of(snakemake: object, files: Iterable[str | Path]) -> list[str]:
    """Return BIDS URIs of files that a job used, see `source_uris`."""
    config = snakemake.config
    return source_uris(files, raw=config["bids_dir"], output=config["output_dir"])


def raw_inputs(places: Places, files: Iterable[str]) -> dict[str, str]:
    """Return name and identity of those inputs that no job makes; see `mebold.files.identity`."""
    names = ((*places.name(str(file)), str(file)) for file in files)
    return {name: places.identity(file) for name, foreign, file in names if foreign}


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
                    uris.append(uri(name, "/".join(rest)))
                break
            if candidate.is_relative_to(raw_root):
                uris.append(uri("raw", candidate.relative_to(raw_root).as_posix()))
                break
        else:
            uris.append(path.as_uri())
    return uris


def uri(dataset: str | None, relpath: str) -> str:
    """Return the BIDS URI of a file.

    Parameters
    ----------
    dataset : str or None
        Key in ``DatasetLinks`` of the dataset that holds the file; None or empty for the dataset
        in which the URI is written.
    relpath : str
        Path inside that dataset, with forward slashes.
    """
    return f"bids:{dataset or ''}:{str(relpath).lstrip('/')}"
