"""Which files give which regions of a subject: look-ups by name, before any image is opened."""

import glob
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mebold.errors import ConfigError, MetadataError
from mebold.files import bids
from mebold.jobs import localizers
from mebold.jobs.index import Index
from mebold.rois import expressions
from mebold.rois.table import entries, parse_labels

#: Regions that need no files; the last two are chosen by the data.
DERIVED = ("brain", "greyMatter", "visual", "reliable")
_IMAGES = (".nii.gz", ".nii")
_SURFACES = (".label", ".annot", ".label.gii", ".func.gii", ".shape.gii", ".mgz", ".mgh")
#: Suffixes of images that hold regions, in names of BIDS.
_SUFFIXES = ("mask", "dseg", "probseg")
_NO_NAME = re.compile(r"[^A-Za-z0-9]")
_HEMISPHERE = re.compile(r"^(?:[lr]h|hemi-[LR])[._-]|[._-](?:[lr]h|hemi-[LR])$", re.IGNORECASE)
#: Folders of a dataset that name no category.
_NO_CATEGORY = re.compile(r"^(sub-.*|ses-.*|anat|func|rois|roi|masks)$")
_PROBABLE = 0.5  # threshold of a map that is named as one (`_probseg`) and has none


def normalised(rois: object) -> object:
    """Return the section `rois` of a configuration, where it or a part of it is written short.

    A path is the table of masks, and a list in place of `localizer` its regions.
    """
    if rois is None:
        return {}
    if isinstance(rois, dict) and isinstance(rois.get("localizer"), list):
        return {**rois, "localizer": {"regions": rois["localizer"]}}
    return {"table": rois} if isinstance(rois, str) else rois


def check(rois: Mapping, output_dir: str) -> None:
    """Check what the schema cannot: names that are given twice, expressions, places.

    Raises
    ------
    ConfigError
        Naming the key and the region.
    """
    order = expressions.order(rois["expressions"])
    best = [item["name"] for item in rois["best"]]
    made = [*order, *best, *(item["name"] for item in rois["localizer"]["regions"])]
    for name in made:
        if name in DERIVED or made.count(name) > 1:
            raise ConfigError(
                f"Configuration key `rois`: {name} is defined twice, or has a name that is taken "
                f"({', '.join(DERIVED)}); give it another name."
            )
    for item in [*rois["given"], *rois["atlas"]]:
        for name in ("rois", "atlases"):
            if Path(item["path"]).absolute().is_relative_to(Path(output_dir, name).absolute()):
                raise ConfigError(
                    f"Configuration key `rois`: {item['path']} lies in {output_dir}/{name}, into "
                    "which masks are written; give a folder outside of it."
                )
    localizers.check(rois["localizer"])
    surface = rois["surface"]
    if on_surfaces(surface) and not surface["folder"]:
        asked = "regions" if surface["regions"] else "benson"
        raise ConfigError(
            f"Configuration key `rois.surface.{asked}` is given without `rois.surface.folder`: the "
            "surfaces of the subject are needed to find the voxels of a region."
        )
    if not surface["folder"] and set(surface["spaces"]) - {"fsaverage5"}:
        raise ConfigError(
            f"Configuration key `rois.surface.spaces`: {', '.join(surface['spaces'])} without "
            "`rois.surface.folder`; without surfaces of the subject only fsaverage5 is possible."
        )
    for item in rois["best"]:
        if item["of"] in best:
            raise ConfigError(
                f"Configuration key `rois.best`: {item['name']} is made of {item['of']}, which is "
                "one of `rois.best` itself; accepted are given regions, expressions and "
                f"{', '.join(DERIVED)}."
            )


def on_surfaces(surface: Mapping) -> bool:
    """Tell whether any region lies on the surfaces of a subject (section `rois.surface`)."""
    return bool(surface["regions"] or surface["benson"]["use"])


def are_given(rois: Mapping, *, listed: bool) -> bool:
    """Tell whether any region comes from an image, a surface or a localizer.

    Parameters
    ----------
    rois : mapping
        Section of the configuration.
    listed : bool
        Whether the list that `rois.table` names has any of an image.
    """
    asked = [rois["given"], rois["atlas"], rois["localizer"]["regions"]]
    return listed or any(asked) or on_surfaces(rois["surface"])


def find(
    rois: Mapping,
    table: pd.DataFrame | None,
    *,
    sub: str,
    space: str,
    template: str | None = None,
    voxel_mm: float = 0.0,
) -> list[dict]:
    """Return the images that give the regions of a subject.

    Parameters
    ----------
    rois : mapping
        Section of the configuration.
    table : DataFrame, optional
        The list that `rois.table` names.
    sub : str
        With the ``sub-`` prefix.
    space : str
        Of the output: T1w, boldref or a template.
    template : str, optional
        Template that the subject's T1w is aligned with.
    voxel_mm : float
        Of the output: of a region in several resolutions the nearest one is taken.

    Returns
    -------
    list of dict
        ``path``, ``name`` (None where a lookup table names several), ``category``, ``labels``,
        ``lookup``, ``threshold``, ``hemi`` (L, R or None) and ``space`` (``output``,
        ``T1w`` or ``template``) of each image.

    Raises
    ------
    ConfigError
        For an image of another subject, a label image without lookup table, an atlas that nothing
        leads to.
    """
    found = [_listed(row) for row in entries(table, subject=sub) if row.get("source") != "visual"]
    for item in rois["given"]:
        spaces = {space} if space == "boldref" else {space, "T1w"}
        own = _of_item(item, sub=sub, spaces=spaces, voxel_mm=voxel_mm)
        found += [one | {"space": "output" if one["space"] == space else "T1w"} for one in own]
    for item in rois["atlas"]:
        if space == "boldref" or not template:
            raise ConfigError(
                f"Configuration key `rois.atlas`: {item['path']} lies in a template, and no "
                "template is asked for, or the output has no T1w; set `template.space` (or "
                "`output.maps_space`)."
            )
        spaces = {template, template.split("+")[0]}
        own = _of_item(item, sub=sub, spaces=spaces, voxel_mm=voxel_mm)
        found += [one | {"space": "template"} for one in own]
    return found + _on_surface(rois["surface"], sub=sub, space=space)


def find_localizers(
    rois: Mapping, sub: str, fitted: Mapping[str, Mapping] | None = None
) -> list[dict]:
    """Return the regions of `rois.localizer` for which a subject may have a map.

    Parameters
    ----------
    rois : mapping
        Section of the configuration.
    sub : str
        With the ``sub-`` prefix.
    fitted : mapping of str to mapping, optional
        Fits of this workflow: file with the maps of a subject's task to its ``task`` and
        ``contrasts`` (names).

    Returns
    -------
    list of dict
        The item, with ``path``, the image, or the file of a fit, in which case ``fitted`` is true.

    Raises
    ------
    ConfigError
        When several images, or fits, are found for one item; when no task has its contrast.
    """
    found = []
    for item in rois["localizer"]["regions"]:
        if "contrast" in item:
            found += [
                {**item, "path": path, "fitted": True}
                for path in localizers.fit_of(item, fitted, sub)
            ]
            continue
        paths = [str(path) for path, _ in _candidates(item["map"], sub)]
        if len(paths) > 1:
            raise ConfigError(
                f"Configuration key `rois.localizer`: {item['name']}: {item['map']} leads to "
                f"{len(paths)} images of {sub}, {paths[0]} and {paths[1]} for instance; one is "
                "needed."
            )
        found += [{**item, "path": path, "fitted": False} for path in paths]
    return found


def surface_folder(rois: Mapping, sub: str) -> Path | None:
    """Return the FreeSurfer folder of a subject, None where there is none."""
    wanted = rois["surface"]["folder"]
    folder = Path(wanted.replace("{subject}", sub.removeprefix("sub-"))) if wanted else None
    return folder if folder and folder.is_dir() else None


def surfaces(rois: Mapping, sub: str, *names: str) -> list[str]:
    """Return surfaces of a subject, ``white`` for instance, left before right; [] without any."""
    folder = surface_folder(rois, sub)
    if folder is None:
        return []
    return [str(folder / "surf" / f"{hemi}.{name}") for name in names for hemi in ("lh", "rh")]


def average_spheres(rois: Mapping, sub: str) -> list[str]:
    """Return the spheres of fsaverage, whose folder lies beside that of the subject."""
    folder = surface_folder(rois, sub).parent / "fsaverage" / "surf"
    return [str(folder / f"{hemi}.sphere.reg") for hemi in ("lh", "rh")]


def spaces(rois: Mapping, sub: str, index: Index) -> list[str]:
    """Return the surfaces on which maps of a subject are written.

    Raises
    ------
    ConfigError
        When nothing leads to one of them.
    """
    asked = rois["surface"]["spaces"]
    if not asked:
        return []
    key = "Configuration key `rois.surface.spaces`"
    if index.space != "T1w":
        raise ConfigError(
            f"{key}: surfaces lie in the space of the T1w, and the output in {index.space}; set "
            "`output.space: T1w`, or take them out."
        )
    if surface_folder(rois, sub) is None:
        template = index.template_of(sub) or ""
        if "fsaverage5" in asked and not template.startswith("MNI"):
            raise ConfigError(
                f"{key}: {sub} has no FreeSurfer folder (`rois.surface.folder`), so fsaverage5 is "
                "reached through an MNI template: set `template.space`, to MNI152NLin2009aSym for "
                "instance."
            )
        return [space for space in asked if space == "fsaverage5"]
    if "fsaverage" in asked:
        lacking = [path for path in average_spheres(rois, sub) if not Path(path).is_file()]
        if lacking:
            raise ConfigError(
                f"{key}: fsaverage needs {lacking[0]}; link FreeSurfer's folder fsaverage beside "
                "that of the subject, or ask for fsaverage5."
            )
    return list(asked)


def _on_surface(surface: Mapping, *, sub: str, space: str) -> list[dict]:
    """Return the entries of regions on the surfaces of a subject."""
    if not on_surfaces(surface) or not surface_folder({"surface": surface}, sub):
        return []
    if space != "T1w":
        raise ConfigError(
            f"Configuration key `rois.surface`: surfaces lie in the space of the T1w, and the "
            f"output in {space}; set `output.space: T1w`, or take the regions out."
        )
    found = []
    for item in surface["regions"]:
        for file, root in _candidates(item["path"], sub, kinds=_SURFACES):
            entities = _entities(file.name)
            if entities.get("space", "fsnative") != "fsnative":
                continue
            entry = _entry({**item, "lookup": None}, file, root, entities)
            entry["threshold"] = item["threshold"]
            found.append(entry | {"space": "surface"})
    return found


def files(found: list[dict]) -> list[str]:
    """Return the files of regions that are there; a job tells of one that is not."""
    paths = {one[key] for one in found for key in ("path", "lookup") if one[key]}
    return sorted(path for path in paths if Path(path).is_file())


def absent(rois: Mapping, subjects: list[str]) -> str:
    """Return a message on an entry that no subject has a file of; empty if there is none."""
    listed = {key: (rois[key], _IMAGES) for key in ("given", "atlas")}
    listed["surface.regions"] = (rois["surface"]["regions"], _SURFACES)
    where = (
        "for any subject (paths are relative to the working directory, {subject} is the label "
        "without sub-"
    )
    for key, (items, kinds) in listed.items():
        for item in items:
            if not any(_owned(item["path"], sub, kinds) for sub in subjects):
                return (
                    f"Configuration key `rois.{key}`: {item['path']} leads to no image {where}; "
                    "accepted are an image, a folder of images, a BIDS dataset, or a pattern "
                    "with *)."
                )
    for item in rois["localizer"]["regions"]:
        if "map" in item and not any(_candidates(item["map"], sub) for sub in subjects):
            return f"Configuration key `rois.localizer`: {item['map']} leads to no image {where})."
    folder = rois["surface"]["folder"]
    if folder and not any(surface_folder(rois, sub) for sub in subjects):
        return f"Configuration key `rois.surface.folder`: {folder} is no folder {where})."
    return ""


def _owned(path: str, sub: str, kinds: tuple[str, ...]) -> bool:
    """Tell whether an entry leads to an image that may be a subject's."""
    owners = (_entities(image.name).get("subject") for image, _ in _candidates(path, sub, kinds))
    return any(owner in (None, sub.removeprefix("sub-")) for owner in owners)


def _listed(row: dict) -> dict:
    """Return a row of the list of regions as an entry."""
    labels = parse_labels(row.get("labels", "n/a"))
    names = {"path": row["path"], "name": row["name"], "category": row["category"]}
    rest = {"lookup": None, "threshold": None, "hemi": None, "space": "output"}
    return names | {"labels": labels} | rest


def _candidates(path: str, sub: str, kinds: tuple[str, ...] = _IMAGES) -> list[tuple[Path, Path]]:
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


def _of_item(item: Mapping, *, sub: str, spaces: set[str], voxel_mm: float) -> list[dict]:
    """Return the entries of one item of the sections `given` and `atlas`."""
    chosen: dict[tuple, tuple[float, dict]] = {}
    for image, root in _candidates(item["path"], sub):
        entities = _entities(image.name)
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
        entry = _entry(item, image, root, entities)
        off = abs(_millimetres(entities.get("resolution", "")) - voxel_mm)
        key = (entry["name"], entry["category"], entry["hemi"])
        if entry["name"] is None or not entities:
            key = (*key, image.name)
        if key not in chosen or off < chosen[key][0]:
            chosen[key] = (off, entry)
    return [entry for _, entry in chosen.values()]


def _entities(name: str) -> dict[str, str]:
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
            for kind in (*_IMAGES, *_SURFACES)
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


def _entry(item: Mapping, image: Path, root: Path, entities: Mapping) -> dict:
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
