"""Which files give which regions of a subject: look-ups by name, before any image is opened."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mebold.errors import ConfigError
from mebold.jobs import localizers, region_images, region_surfaces
from mebold.rois import expressions
from mebold.rois.table import entries, parse_labels

#: Regions that need no files; the last two are chosen by the data.
DERIVED = ("brain", "greyMatter", "visual", "reliable")


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
    region_surfaces.check(rois["surface"])
    for item in rois["best"]:
        if item["of"] in best:
            raise ConfigError(
                f"Configuration key `rois.best`: {item['name']} is made of {item['of']}, which is "
                "one of `rois.best` itself; accepted are given regions, expressions and "
                f"{', '.join(DERIVED)}."
            )


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
    return listed or any(asked) or region_surfaces.are_asked(rois["surface"])


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
        own = region_images.of_item(item, sub=sub, spaces=spaces, voxel_mm=voxel_mm)
        found += [one | {"space": "output" if one["space"] == space else "T1w"} for one in own]
    for item in rois["atlas"]:
        if space == "boldref" or not template:
            raise ConfigError(
                f"Configuration key `rois.atlas`: {item['path']} lies in a template, and no "
                "template is asked for, or the output has no T1w; set `template.space` (or "
                "`output.maps_space`)."
            )
        spaces = {template, template.split("+")[0]}
        own = region_images.of_item(item, sub=sub, spaces=spaces, voxel_mm=voxel_mm)
        found += [one | {"space": "template"} for one in own]
    return found + region_surfaces.find(rois["surface"], sub=sub, space=space)


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
        paths = [str(path) for path, _ in region_images.candidates(item["map"], sub)]
        if len(paths) > 1:
            raise ConfigError(
                f"Configuration key `rois.localizer`: {item['name']}: {item['map']} leads to "
                f"{len(paths)} images of {sub}, {paths[0]} and {paths[1]} for instance; one is "
                "needed."
            )
        found += [{**item, "path": path, "fitted": False} for path in paths]
    return found


def visual(table: pd.DataFrame | None, sub: str) -> dict[str, str]:
    """Return names and categories by which the list asks for the region of the comparison."""
    rows = [row for row in entries(table, subject=sub) if row.get("source") == "visual"]
    return {row["name"]: row["category"] for row in rows}


def of_data(rois: Mapping, table: pd.DataFrame | None, sub: str) -> list[str]:
    """Return the names of a subject's regions that need the results of a task."""
    return [*rois["derived"], *(item["name"] for item in rois["best"]), *visual(table, sub)]


def check_names(rois: Mapping, table: pd.DataFrame | None, found: list[dict], *, sub: str) -> None:
    """Refuse expressions, and regions of best voxels, of names that a subject does not have.

    Where lookup tables, annotations or an atlas give names, the job that reads them tells.

    Parameters
    ----------
    rois : mapping
        Section of the configuration.
    table : DataFrame, optional
        The list that `rois.table` names.
    found : list of dict
        From `find`.
    sub : str
        With the ``sub-`` prefix.

    Raises
    ------
    ConfigError
        Naming the key, the name and what there is.
    """
    named_by_files = rois["surface"]["benson"]["use"] or any(
        one["lookup"] or one["path"].endswith((".annot", ".label.gii")) for one in found
    )
    if named_by_files or rois["missing"] == "leave_out":
        return
    known = {one["name"] for one in found} | {*of_data(rois, table, sub)}
    known |= {item["name"] for item in rois["localizer"]["regions"]}
    expressions.require(rois["expressions"], known, owner=sub)
    for item in rois["best"]:
        if item["of"] not in known | set(rois["expressions"]):
            raise ConfigError(
                f"Configuration key `rois.best`: {item['name']}: there is no region {item['of']} "
                f"of {sub}; there are {', '.join(sorted(known))}. Set `rois.missing: leave_out` to "
                "leave such a region out of a subject."
            )


def files(found: list[dict]) -> list[str]:
    """Return the files of regions that are there; a job tells of one that is not."""
    paths = {one[key] for one in found for key in ("path", "lookup") if one[key]}
    return sorted(path for path in paths if Path(path).is_file())


def absent(rois: Mapping, subjects: list[str]) -> str:
    """Return a message on an entry that no subject has a file of; empty if there is none."""
    listed = {key: (rois[key], region_images.IMAGES) for key in ("given", "atlas")}
    listed["surface.regions"] = (rois["surface"]["regions"], region_images.SURFACES)
    where = (
        "for any subject (paths are relative to the working directory, {subject} is the label "
        "without sub-"
    )
    for key, (items, kinds) in listed.items():
        for item in items:
            if any(region_images.owned(item["path"], sub, kinds) for sub in subjects):
                continue
            others = [
                str(image)
                for sub in subjects
                for image, _ in region_images.candidates(item["path"], sub, kinds)
            ]
            if others:
                return (
                    f"Configuration key `rois.{key}`: {item['path']} leads to images of other "
                    f"subjects alone, such as {others[0]}; the subjects are {', '.join(subjects)}."
                )
            return (
                f"Configuration key `rois.{key}`: {item['path']} leads to no image {where}; "
                "accepted are an image, a folder of images, a BIDS dataset, or a pattern with *)."
            )
    for item in rois["localizer"]["regions"]:
        if "map" in item and not any(
            region_images.candidates(item["map"], sub) for sub in subjects
        ):
            return f"Configuration key `rois.localizer`: {item['map']} leads to no image {where})."
    folder = rois["surface"]["folder"]
    if folder and not any(region_surfaces.folder(rois, sub) for sub in subjects):
        return f"Configuration key `rois.surface.folder`: {folder} is no folder {where})."
    return ""


def _listed(row: dict) -> dict:
    """Return a row of the list of regions as an entry."""
    labels = parse_labels(row.get("labels", "n/a"))
    names = {"path": row["path"], "name": row["name"], "category": row["category"]}
    rest = {"lookup": None, "threshold": None, "hemi": None, "space": "output"}
    return names | {"labels": labels} | rest
