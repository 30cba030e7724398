"""Field estimates: which fieldmap images belong together."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mebold.clock import earliest
from mebold.files import bids
from mebold.geometry.phase_encoding import opposite

#: Suffix of a fieldmap image to the family of images that it is acquired with.
_FAMILIES = {
    "phasediff": "gre",
    "phase1": "gre",
    "phase2": "gre",
    "magnitude1": "gre",
    "magnitude2": "gre",
    "fieldmap": "direct",
    "magnitude": "direct",
    "epi": "epi",
    "MEGRE": "megre",
}
#: Kinds from which a field in Hz is made, best first.
USABLE = ("phasediff", "phases", "fieldmap", "pepolar", "megre")
#: What the table says of a run whose session has fieldmaps, all of which name other runs.
OTHERS_ONLY = "fieldmaps of the session name other runs only"


@dataclass
class FieldEstimate:
    """The images that give one field map.

    Attributes
    ----------
    identifier : str
        Alphanumeric, unique in its folder: B0FieldIdentifier without other characters, or the
        kind followed by the entities of the images.
    kind : str
        ``phasediff``, ``phases`` (phase1 and phase2), ``fieldmap`` (in Hz, rad/s or tesla),
        ``pepolar`` (EPI images of opposite phase encoding, or of one direction with the opposed
        image of a run), ``megre`` (echoes of a multi-echo gradient echo with phase), ``epi`` (EPI
        images that are no such pair), or ``incomplete`` (magnitude only).
    subject, session, folder : str
        Where the images lie; session is None without a session level.
    images : list of dict
        Their rows of the run table.
    b0_identifiers : set of str
        As written in the sidecars.
    time : float or None
        Start in seconds since midnight.
    opposed : dict or None
        Row of a run's image that completes EPI images of one direction.
    """

    identifier: str
    kind: str
    subject: str
    session: str | None
    folder: str
    images: list[dict]
    b0_identifiers: set[str] = field(default_factory=set)
    time: float | None = None
    opposed: dict | None = None

    @property
    def usable(self) -> bool:
        """Whether a field in Hz can be made from the images."""
        return self.kind in USABLE

    def paths(self) -> dict[str, str]:
        """Return suffix to dataset-relative path (of EPI images only the last)."""
        return {image["suffix"]: image["path"] for image in self.images}


def estimates(rows: Iterable[dict]) -> list[FieldEstimate]:
    """Group fieldmap images into field estimates.

    Parameters
    ----------
    rows : iterable of dict
        Rows of the run table, None for absent values. Rows of B0 fieldmaps count, and those of a
        multi-echo gradient echo in the folder of the anatomy that names its target.

    Returns
    -------
    list of FieldEstimate
        In the order of the rows.
    """
    sets: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["suffix"] in _FAMILIES and (row["datatype"] == "fmap" or row["suffix"] == "MEGRE"):
            sets.setdefault(_set_key(row), []).append(row)
    found = [
        _estimate(images)
        for images in sets.values()
        if images[0]["suffix"] != "MEGRE" or _is_fieldmap(images)
    ]
    _make_unique(found)
    return found


def _is_fieldmap(images: list[dict]) -> bool:
    """Tell whether a multi-echo gradient echo names what it corrects, and has phase."""
    phases = [image for image in images if image["component"] == "phase"]
    return len(phases) > 1 and any(i["b0_identifier"] or i["intended_for"] for i in images)


def _set_key(row: dict) -> tuple:
    """Return what the images of one estimate share: all entities but the direction of ``epi``."""
    family = _FAMILIES[row["suffix"]]
    entities = bids.parse(row["path"])
    if family == "epi":
        if row["b0_identifier"]:
            return row["folder"], family, row["b0_identifier"][0]
        entities.pop("direction", None)
    return row["folder"], family, bids.stem(entities)


def _estimate(images: list[dict]) -> FieldEstimate:
    suffixes = {image["suffix"] for image in images}
    if "phasediff" in suffixes:
        kind = "phasediff"
    elif {"phase1", "phase2"} <= suffixes:
        kind = "phases"
    elif "fieldmap" in suffixes:
        kind = "fieldmap"
    elif "MEGRE" in suffixes:
        kind = "megre"
    elif "epi" in suffixes:
        kind = "pepolar" if _opposite(images) else "epi"
    else:
        kind = "incomplete"
    written = {name for image in images for name in image["b0_identifier"] or ()}
    first = images[0]
    return FieldEstimate(
        identifier=_alphanumeric(min(written)) if written else _identifier(kind, first["path"]),
        kind=kind,
        subject=first["subject"],
        session=first["session"],
        folder=first["folder"],
        images=images,
        b0_identifiers=written,
        time=earliest(image["acquisition_time"] for image in images),
    )


def _opposite(images: list[dict]) -> bool:
    """Return whether EPI images encode two opposite directions with known readout times."""
    known = directions(images)
    return any(opposite(direction) in known for direction in known)


def _identifier(kind: str, path: str) -> str:
    """Name an estimate by its kind and the entities that tell it from the session's others."""
    entities = bids.parse(path)
    skip = (
        "subject",
        "session",
        "suffix",
        "extension",
        *(["direction"] if kind in ("pepolar", "epi") else []),
    )
    parts = [bids.ENTITIES.get(k, k).capitalize() + v for k, v in entities.items() if k not in skip]
    return _alphanumeric(kind + "".join(parts))


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text) or "fieldmap"


def _make_unique(found: list[FieldEstimate]) -> None:
    """Append a letter where two identifiers of one folder differ only in dropped characters."""
    seen: set[tuple[str, str]] = set()
    for estimate in found:
        base, letters = estimate.identifier, iter("bcdefghijklmnopqrstuvwxyz")
        while (estimate.folder, estimate.identifier) in seen:
            estimate.identifier = base + next(letters)
        seen.add((estimate.folder, estimate.identifier))


def directions(images: Iterable[dict]) -> set[str]:
    """Return the phase encodings of magnitude images whose readout time is known."""
    return {
        image["phase_encoding_direction"]
        for image in images
        if image["component"] == "mag"
        and (image["total_readout_time"] or (image["readout_by"] and not image["shape"]))
    } - {None}


def opposed_image(
    images: Iterable[dict], rows: Iterable[dict], corrected: Callable[[dict], bool]
) -> dict | None:
    """Choose the image of a run that was displaced the other way.

    Parameters
    ----------
    images : iterable of dict
        Rows of the fieldmap's EPI images.
    rows : iterable of dict
        Rows of the run table.
    corrected : callable
        Tells of a row whether the metadata give its run to this fieldmap.

    Returns
    -------
    dict or None
        The first echo of a single-band reference of the same session, else of a series: of a run
        that the fieldmap is meant for, if any is. None without such an image.
    """
    images = list(images)
    wanted = {opposite(direction) for direction in directions(images)}
    candidates = [
        row
        for row in rows
        if row["datatype"] == "func"
        and row["folder"] == images[0]["folder"]
        and row["suffix"] in ("sbref", "bold")
        and row["image_state"] == images[0]["image_state"]
        and directions([row]) & wanted
    ]
    rank = {"sbref": 0, "bold": 1}
    return min(
        candidates,
        key=lambda row: (
            not corrected(row), rank[row["suffix"]], row["stem"], row["echo_time"] or 0.0
        ),
        default=None,
    )  # fmt: skip
