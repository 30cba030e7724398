"""BIDS names: the order of the entities, and the only place where file names are built.

Labels are strings and survive as written: ``run-1`` and ``run-01`` are two different labels.
"""

import re
from collections.abc import Mapping

from mebold.errors import MetadataError

#: Long name and file-name key of every entity, in the order in which a file name holds them
#: (BIDS 1.10; ``contrast`` and ``stat`` are no BIDS entities and stand where the reference data
#: sets put them, before ``desc``).
ENTITIES = {
    "subject": "sub",
    "session": "ses",
    "sample": "sample",
    "task": "task",
    "tracksys": "tracksys",
    "acquisition": "acq",
    "nucleus": "nuc",
    "volume": "voi",
    "ceagent": "ce",
    "tracer": "trc",
    "stain": "stain",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "modality": "mod",
    "echo": "echo",
    "flip": "flip",
    "inversion": "inv",
    "mtransfer": "mt",
    "part": "part",
    "processing": "proc",
    "hemisphere": "hemi",
    "space": "space",
    "split": "split",
    "recording": "recording",
    "chunk": "chunk",
    "segmentation": "seg",
    "resolution": "res",
    "density": "den",
    "label": "label",
    "from": "from",
    "to": "to",
    "mode": "mode",
    "contrast": "contrast",
    "stat": "stat",
    "description": "desc",
}
_LONG = {short: long for long, short in ENTITIES.items()} | {long: long for long in ENTITIES}
_ORDER = {long: position for position, long in enumerate(ENTITIES)}
#: Entities that split one run into several images.
WITHIN_RUN = ("echo", "part")
#: Entities that name the runs which one single-trial GLM fits together.
_GROUP = ("subject", "session", "task", "acquisition")
_ABSENT = (None, "", "n/a")
_LABEL = re.compile(r"[A-Za-z0-9+]+|(?:[A-Za-z0-9+]*\{[^{}]+\}[A-Za-z0-9+]*)+")
_EXTENSION = re.compile(r"\.(?:nii\.gz|tsv\.gz|dtseries\.nii|[^.]+(?:\.gii)?)$")


def name(
    entities: Mapping[str, object],
    *,
    suffix: str | None = None,
    extension: str | None = None,
    stem: str | None = None,
) -> str:
    """Build a file name.

    Parameters
    ----------
    entities : mapping
        Entity to label; long (``acquisition``) or short (``acq``) entity names. Absent values
        (None, empty, ``n/a``) are left out; a label may be a Snakemake wildcard in braces. The
        keys ``suffix`` and ``extension`` count where the arguments below are not given, so that
        ``name(parse(file))`` returns the file's name.
    suffix : str, optional
        Last part of the name, such as ``bold``.
    extension : str, optional
        With its dot, such as ``.nii.gz``.
    stem : str, optional
        A ready beginning (see `stem`), for example a wildcard, to which the entities are added.

    Returns
    -------
    str

    Raises
    ------
    MetadataError
        For an unknown entity, a label that is not alphanumeric, or a missing suffix.
    """
    suffix = suffix or entities.get("suffix")
    extension = entities.get("extension", "") if extension is None else extension
    if not suffix:
        message = f"A BIDS name needs a suffix; got only the entities {dict(entities)}."
        raise MetadataError(message)
    parts = _parts({k: v for k, v in entities.items() if k not in ("suffix", "extension")})
    return "_".join([*([stem] if stem else []), *parts, str(suffix)]) + extension


def _parts(entities: Mapping[str, object]) -> list[str]:
    """Return ``key-label`` for each present entity, in BIDS order."""
    labels = {}
    for key, label in entities.items():
        if label in _ABSENT:
            continue
        if key not in _LONG:
            message = f"Unknown BIDS entity {key!r}; known: {', '.join(ENTITIES)}."
            raise MetadataError(message)
        if not _LABEL.fullmatch(str(label)):
            message = (
                f"The label {label!r} of the entity {key!r} cannot stand in a BIDS name: "
                "only letters, digits and + are accepted."
            )
            raise MetadataError(message)
        labels[_LONG[key]] = str(label)
    return [f"{ENTITIES[long]}-{labels[long]}" for long in sorted(labels, key=_ORDER.__getitem__)]


def parse(filename: str) -> dict[str, str]:
    """Split a file name into entities (long names), ``suffix`` and ``extension``.

    Parameters
    ----------
    filename : str
        Name or path. Folders are ignored. Entities that BIDS does not define stay under their
        own key.

    Returns
    -------
    dict
        Labels as written, in the order of the name.

    Raises
    ------
    MetadataError
        When the name is not ``key-label[_key-label...]_suffix.extension``.
    """
    base = str(filename).replace("\\", "/").rsplit("/", 1)[-1]
    match = _EXTENSION.search(base)
    extension = match.group() if match else ""
    *pairs, suffix = base[: len(base) - len(extension)].split("_")
    entities = {}
    for pair in pairs:
        key, dash, label = pair.partition("-")
        if not (key and dash and label):
            message = f"{base} is no BIDS name: {pair!r} is not of the form entity-label."
            raise MetadataError(message)
        entities[_LONG.get(key, key)] = label
    if not suffix.isalnum():
        message = f"{base} is no BIDS name: it ends in {suffix!r} instead of a suffix."
        raise MetadataError(message)
    return entities | {"suffix": suffix, "extension": extension}


def stem(entities: Mapping[str, object]) -> str:
    """Return the part of the name that all echoes and parts of one run share.

    Parameters
    ----------
    entities : mapping
        As from `parse` or a row of the run table; unknown entities follow the known ones.
    """
    kept = {
        key: label
        for key, label in entities.items()
        if key not in ("suffix", "extension") and _LONG.get(key, key) not in WITHIN_RUN
    }
    unknown = [f"{k}-{v}" for k, v in kept.items() if k not in _LONG and v not in _ABSENT]
    return "_".join(_parts({k: v for k, v in kept.items() if k in _LONG}) + unknown)


def group(entities: Mapping[str, object]) -> str:
    """Return the name of the group of runs that one single-trial GLM fits: a session's task."""
    long = {_LONG.get(key, key): label for key, label in entities.items()}
    return "_".join(_parts({key: long.get(key) for key in _GROUP}))


def described(columns: Mapping[str, object]) -> dict[str, object]:
    """Return descriptions of a table's columns without those that readers take for entities.

    pybids stops at a dataset in which the sidecar of ``..._ses-01_...tsv`` has a key ``session``,
    and lists the description of a column ``run`` among the runs. The key ``label`` stays: our
    tables are of no file with that entity.
    """
    taken = set(ENTITIES) - {"label"}
    return {name: entry for name, entry in columns.items() if name not in taken}


def folder(subject: str, session: str | None = None) -> str:
    """Return ``sub-<subject>`` or ``sub-<subject>/ses-<session>``."""
    return "/".join(_parts({"subject": subject, "session": session}))
