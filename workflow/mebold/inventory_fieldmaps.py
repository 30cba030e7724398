"""Field estimates: which fieldmap images belong together, and which run each one corrects."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mebold import bids
from mebold.clock import earliest, elapsed
from mebold.inventory_opposed import directions, opposed_image
from mebold.sdc import opposite

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
}
#: Kinds from which a field in Hz is made, best first.
USABLE = ("phasediff", "phases", "fieldmap", "pepolar")


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
        image of a run), ``epi`` (EPI images that are no such pair), or ``incomplete`` (magnitude
        only).
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
        Rows of the run table, None for absent values; only ``fmap`` rows of B0 fieldmaps count.

    Returns
    -------
    list of FieldEstimate
        In the order of the rows.
    """
    sets: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["datatype"] == "fmap" and row["suffix"] in _FAMILIES:
            sets.setdefault(_set_key(row), []).append(row)
    found = [_estimate(images) for images in sets.values()]
    _make_unique(found)
    return found


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


def _complete_pairs(found: list[FieldEstimate], targets: list[set], rows: list[dict]) -> None:
    """Give EPI images of one direction the opposed image of a run, in place."""
    for estimate, intended in zip(found, targets, strict=True):
        if estimate.kind != "epi":
            continue

        def corrected(row: dict, own=estimate, intended=intended) -> bool:
            named = own.b0_identifiers & set(row["b0_source"] or ())
            return bool(named) or (row["folder"], row["stem"]) in intended

        estimate.opposed = opposed_image(estimate.images, rows, corrected)
        if estimate.opposed:
            estimate.kind = "pepolar"
            for image in estimate.images:
                image["fieldmap_opposed"] = estimate.opposed["path"]


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


def pair(rows: list[dict], files: set[str]) -> None:
    """Fill the fieldmap columns of BOLD, SBRef and fieldmap rows, in place.

    The order is B0FieldSource, then IntendedFor (on any image of the estimate), then the estimates
    of the same session by time. What the metadata name is kept: the field of a run comes from the
    one estimate that is named, or is interpolated among several. Without names all estimates of
    the session with a known time take part; the nearest one is used where times are not known to
    be comparable. A run never mixes kinds or sessions: kinds come in the order of `USABLE`, the
    run's own session first.

    Parameters
    ----------
    rows : list of dict
        Rows of the run table.
    files : set of str
        Dataset-relative paths of all images, to resolve IntendedFor.
    """
    columns = ("fieldmap", "fieldmaps", "fieldmap_kind", "fieldmap_by", "fieldmap_folder")
    columns += ("fieldmap_opposed",)
    for row in rows:
        row |= dict.fromkeys(columns)
        row["intended_missing"] = _missing_targets(row, files) or None
    found = [estimate for estimate in estimates(rows) if estimate.kind != "incomplete"]
    targets = [_targets(estimate, files) for estimate in found]
    _complete_pairs(found, targets, rows)
    for estimate in found:
        for image in estimate.images:
            _note(image, [estimate], None)
    runs: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["datatype"] == "func":
            runs.setdefault((row["folder"], row["stem"]), []).append(row)
    for key, images in runs.items():
        chosen, how = _choose(key, images, found, targets)
        for image in images:
            if chosen:
                _note(image, chosen, how)


def _note(row: dict, chosen: list[FieldEstimate], how: str | None) -> None:
    row["fieldmap"] = chosen[0].identifier
    row["fieldmaps"] = [estimate.identifier for estimate in chosen]
    row["fieldmap_kind"] = chosen[0].kind
    row["fieldmap_folder"] = chosen[0].folder
    if how and chosen[0].opposed:
        how += f", with the opposed image of {chosen[0].opposed['stem']}"
    row["fieldmap_by"] = how


def _choose(key: tuple, images: list[dict], found: list, targets: list) -> tuple:
    """Return the estimates for one run, the nearest in time first, and how they were found."""
    first = images[0]
    own = [(e, t) for e, t in zip(found, targets, strict=True) if e.subject == first["subject"]]
    sources = {name for image in images for name in image["b0_source"] or ()}
    start = earliest(image["acquisition_time"] for image in images)
    for how, named in (
        ("B0FieldSource", [e for e, _ in own if e.b0_identifiers & sources]),
        ("IntendedFor", [e for e, t in own if key in t]),
    ):
        if named:
            chosen = _of_one_kind(named, start, first["folder"])
            return chosen, ", ".join(filter(None, (how, _merged(chosen, start, first["folder"]))))
    here = [e for e, _ in own if e.folder == first["folder"]]
    chosen = _of_one_kind(here, start, first["folder"]) if here else []
    if len(chosen) < 2:
        return chosen, "only one in the session" if chosen else None
    merged = _merged(chosen, start, first["folder"])
    if merged.startswith("mean"):
        return chosen[:1], "first in the session (no AcquisitionTime)"
    return chosen, f"all of the session, {merged}"


def _merged(chosen: list[FieldEstimate], start: float | None, folder: str) -> str:
    """Say how several estimates become the field of one run; see `fmap_session.run_weights`."""
    if len(chosen) == 1:
        return ""
    if chosen[0].folder != folder:
        return "mean (maps of another session)"
    if start is None or any(estimate.time is None for estimate in chosen):
        return "mean (no AcquisitionTime)"
    return "interpolated in time"


def _of_one_kind(
    candidates: list[FieldEstimate], start: float | None, folder: str
) -> list[FieldEstimate]:
    """Return the candidates of the best kind and of one session, the nearest in time first."""
    kinds = (*USABLE, "epi")

    def rank(estimate: FieldEstimate) -> tuple:
        known = start is not None and estimate.time is not None
        distance = abs(elapsed(estimate.time, start)) if known else 0.0
        return kinds.index(estimate.kind), estimate.folder != folder, distance

    ordered = sorted(candidates, key=rank)
    best = ordered[0].kind, ordered[0].folder
    return [estimate for estimate in ordered if (estimate.kind, estimate.folder) == best]


def _targets(estimate: FieldEstimate, files: set[str]) -> set[tuple]:
    """Return (folder, stem) of every run that the estimate's images are intended for."""
    found = set()
    for image in estimate.images:
        for target in image["intended_for"] or ():
            path = resolve(str(target), image, files)
            if path is None:
                continue
            entities = bids.parse(path)
            found.add(
                (bids.folder(entities["subject"], entities.get("session")), bids.stem(entities))
            )
    return found


def resolve(target: str, image: dict, files: set[str]) -> str | None:
    """Return the dataset-relative path that one IntendedFor entry means, None when missing.

    Accepted are a BIDS URI, a path relative to the subject with or without its session, and a
    path relative to the dataset.
    """
    path = re.sub(r"^bids:[^:]*:", "", target).removeprefix("./").lstrip("/")
    subject = bids.folder(image["subject"])
    for candidate in (path, f"{subject}/{path}", f"{image['folder']}/{path}"):
        if candidate in files:
            return candidate
        other = candidate[:-3] if candidate.endswith(".nii.gz") else candidate + ".gz"
        if other in files:
            return other
    return None


def _missing_targets(row: dict, files: set[str]) -> list[str]:
    """Return the IntendedFor entries of an image that name no image of the dataset."""
    targets = row["intended_for"] or ()
    return [str(target) for target in targets if resolve(str(target), row, files) is None]
