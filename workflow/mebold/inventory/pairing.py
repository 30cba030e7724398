"""Which field estimate corrects which run."""

import re
from collections.abc import Iterable

from mebold.clock import earliest, elapsed
from mebold.files import bids
from mebold.inventory.fieldmaps import OTHERS_ONLY, USABLE, FieldEstimate, estimates, opposed_image


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


def pair(
    rows: list[dict],
    files: set[str],
    *,
    assign: str = "named",
    sources: Iterable[tuple[str, str]] = (),
) -> None:
    """Fill the fieldmap columns of BOLD, SBRef and fieldmap rows, in place.

    The order is B0FieldSource, then IntendedFor (on any image of the estimate), then the estimates
    of the same session by time. What the metadata name is kept: the field of a run comes from the
    one estimate that is named, or is interpolated among several. A run that nothing names takes
    the estimates of its session that name no run either: all of those with a known time, the
    nearest one where times are not known to be comparable. A run never mixes kinds or sessions:
    kinds come in the order of `USABLE`, the run's own session first.

    Parameters
    ----------
    rows : list of dict
        Rows of the run table.
    files : set of str
        Dataset-relative paths of all images, to resolve IntendedFor.
    assign : {"named", "session"}
        With ``session``, estimates that name other runs are given to the session's other runs too.
    sources : iterable of (subject, B0FieldSource)
        Of functional images that are not among the rows: what they name is not free either.
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
    named = set(sources)
    for row in rows:
        if row["datatype"] == "func":
            runs.setdefault((row["folder"], row["stem"]), []).append(row)
            named |= {(row["subject"], name) for name in row["b0_source"] or ()}
    free = [
        assign == "session"
        or not (meant or named & {(e.subject, name) for name in e.b0_identifiers})
        for e, meant in zip(found, targets, strict=True)
    ]
    for key, images in runs.items():
        chosen, how = _choose(key, images, found, targets, free)
        for image in images:
            if chosen:
                _note(image, chosen, how)
            else:
                image["fieldmap_by"] = how


def _note(row: dict, chosen: list[FieldEstimate], how: str | None) -> None:
    row["fieldmap"] = chosen[0].identifier
    row["fieldmaps"] = [estimate.identifier for estimate in chosen]
    row["fieldmap_kind"] = chosen[0].kind
    row["fieldmap_folder"] = chosen[0].folder
    if how and chosen[0].opposed:
        how += f", with the opposed image of {chosen[0].opposed['stem']}"
    row["fieldmap_by"] = how


def _choose(key: tuple, images: list[dict], found: list, targets: list, free: list) -> tuple:
    """Return the estimates for one run, the nearest in time first, and how they were found."""
    first = images[0]
    own = [
        (e, t, f)
        for e, t, f in zip(found, targets, free, strict=True)
        if e.subject == first["subject"]
    ]
    sources = {name for image in images for name in image["b0_source"] or ()}
    start = earliest(image["acquisition_time"] for image in images)
    for how, named in (
        ("B0FieldSource", [e for e, *_ in own if e.b0_identifiers & sources]),
        ("IntendedFor", [e for e, t, _ in own if key in t]),
    ):
        if named:
            chosen = _of_one_kind(named, start, first["folder"])
            return chosen, ", ".join(filter(None, (how, _merged(chosen, start, first["folder"]))))
    here = [(e, f) for e, _, f in own if e.folder == first["folder"]]
    unnamed = [e for e, f in here if f]
    if not unnamed:
        return [], OTHERS_ONLY if here else None
    some = len(unnamed) < len(here)
    of_session = "in the session that names no run" if some else "in the session"
    chosen = _of_one_kind(unnamed, start, first["folder"])
    if len(chosen) == 1:
        return chosen, f"only one {of_session}"
    merged = _merged(chosen, start, first["folder"])
    if merged.startswith("mean"):
        return chosen[:1], f"first {of_session} (no AcquisitionTime)"
    those = "all of the session that name no run" if some else "all of the session"
    return chosen, f"{those}, {merged}"


def _merged(chosen: list[FieldEstimate], start: float | None, folder: str) -> str:
    """Say how several estimates become the field of one run; see `run_weights` of fields."""
    if len(chosen) == 1:
        return ""
    if chosen[0].folder != folder:
        return "mean (maps of another session)"
    if start is None or any(estimate.time is None for estimate in chosen):
        return "mean (no AcquisitionTime)"
    times = [estimate.time for estimate in chosen]
    if len(set(times)) < len(times):
        return "interpolated in time, maps of equal AcquisitionTime averaged"
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
