"""Images and surface files that an entry of `rois` leads to, and what their names tell."""

import glob
import re
from collections.abc import Mapping
from pathlib import Path

from mebold.errors import ConfigError, MetadataError
from mebold.files import bids

IMAGES = (".nii.gz", ".nii")
SURFACES = (".label", ".annot", ".label.gii", ".func.gii", ".shape.gii", ".mgz", ".mgh")
#: Suffixes of images that hold regions, in names of BIDS.
_SUFFIXES = ("mask", "dseg", "probseg")
_NO_NAME = re.compile(r"[^A-Za-z0-9]")
_HEMISPHERE = re.compile(r"^(?:[lr]h|hemi-[LR])[._-]|[._-](?:[lr]h|hemi-[LR])$", re.IGNORECASE)
#: Folders of a dataset that name no category.
_NO_CATEGORY = re.compile(r"^(sub-.*|ses-.*|anat|func|rois|roi|masks)$")
_PROBABLE = 0.5  # threshold of a map that is named as one (`_probseg`) and has none


def candidates(path: str, sub: str, kinds: tuple[str, ...] = IMAGES) -> list[tuple[Path, Path]]:
    """Return the images of an entry for a subject, each with the folder that it was found in."""
    wanted = str(path).replace("{subject}", sub.removeprefix("sub-"))
    found = []
    places = glob.glob(wanted) if "*" in wanted else [wanted]  # noqa: PTH207
    for place in sorted(map(Path, places)):
        if place.is_file():
            found.append((place, place.parent))
            continue
        root = place / sub if (place / sub).is_dir() else place
        found += [(image, root) for image in sorted(root.rglob("*")) if image.name.endswith(kinds)]
    return found


def of_item(item: Mapping, *, sub: str, spaces: set[str], voxel_mm: float) -> list[dict]:
    """Return the entries of one item of the sections `given` and `atlas`."""
    chosen: dict[tuple, tuple[float, dict]] = {}
    for image, root in candidates(item["path"], sub):
        entities = entities_of(image.name)
        if entities.get("subject", sub.removeprefix("sub-")) != sub.removeprefix("sub-"):
            if "{subject}" in item["path"]:
                raise ConfigError(
                    f"Configuration key `rois`: {image} is a region of "
                    f"sub-{entities['subject']}, and was found for {sub} by {item['path']}."
                )
            continue
        if entities and entities["suffix"] not in _SUFFIXES:
            continue
        if entities.get("space", next(iter(spaces))) not in spaces:
            continue
        found = entry(item, image, root, entities)
        off = abs(_millimetres(entities.get("resolution", "")) - voxel_mm)
        key = (found["name"], found["category"], found["hemi"])
        if found["name"] is None or not entities:
            key = (*key, image.name)
        if key not in chosen or off < chosen[key][0]:
            chosen[key] = (off, found)
    return [found for _, found in chosen.values()]


def entities_of(name: str) -> dict[str, str]:
    """Return the entities of a BIDS name, none of any other."""
    try:
        return bids.parse(name) if name.startswith("sub-") else {}
    except MetadataError:
        return {}


def _stem(image: Path) -> str:
    """Return the name of a file without what tells its format."""
    return next(
        (
            image.name.removesuffix(kind)
            for kind in (*IMAGES, *SURFACES)
            if image.name.endswith(kind)
        ),
        image.name,
    )


def _millimetres(resolution: str) -> float:
    """Read a resolution as the reference dataset writes it, ``1pt8``; 0 for any other."""
    try:
        return float(resolution.replace("pt", "."))
    except ValueError:
        return 0.0


def entry(item: Mapping, image: Path, root: Path, entities: Mapping) -> dict:
    """Return one image as an entry."""
    lookup, threshold = item.get("lookup"), item.get("threshold")
    stem = _stem(image)
    suffix = entities.get("suffix") or stem.rpartition("_")[2]
    beside = image.with_name(f"{stem}.tsv")
    if lookup is None and suffix == "dseg":
        lookup = str(beside) if beside.is_file() else None
        if lookup is None:
            raise ConfigError(
                f"Configuration key `rois`: {image} is a label image without a lookup table; give "
                f"`lookup` in its entry, or {beside.name} beside it (columns index and name)."
            )
    if threshold is None and suffix == "probseg":
        threshold = _PROBABLE
    hemisphere = _HEMISPHERE.search(stem)
    hemi = hemisphere.group().strip("._-").upper().removeprefix("HEMI-")[:1] if hemisphere else None
    name = _NO_NAME.sub("", _HEMISPHERE.sub("", stem))
    if entities:
        hemi = entities.get("hemisphere")
        known = (entities.get(key) for key in ("label", "segmentation", "description"))
        name = _NO_NAME.sub("", next(filter(None, known), suffix))
    parts = image.parent.relative_to(root).parts if image.is_relative_to(root) else ()
    folder = next((part for part in parts if not _NO_CATEGORY.match(part)), "given")
    category = item.get("category") or _NO_NAME.sub("", folder)
    found = {"path": str(image), "name": None if lookup else name, "category": category}
    found |= {"lookup": lookup, "threshold": threshold, "hemi": hemi}
    return found | {"labels": [], "space": entities.get("space")}


def owned(path: str, sub: str, kinds: tuple[str, ...]) -> bool:
    """Tell whether an entry leads to an image that may be a subject's."""
    owners = (entities_of(image.name).get("subject") for image, _ in candidates(path, sub, kinds))
    return any(owner in (None, sub.removeprefix("sub-")) for owner in owners)
