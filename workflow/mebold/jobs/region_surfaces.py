"""The FreeSurfer folder of a subject: regions on its surfaces, and spaces of maps there."""

from collections.abc import Mapping
from pathlib import Path

from mebold.errors import ConfigError
from mebold.jobs import region_images
from mebold.jobs.index import Index


def are_asked(surface: Mapping) -> bool:
    """Tell whether any region lies on the surfaces of a subject (section `rois.surface`)."""
    return bool(surface["regions"] or surface["benson"]["use"])


def check(surface: Mapping) -> None:
    """Refuse regions and spaces that need surfaces of the subject, without its folder.

    Raises
    ------
    ConfigError
    """
    if are_asked(surface) and not surface["folder"]:
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


def folder(rois: Mapping, sub: str) -> Path | None:
    """Return the FreeSurfer folder of a subject, None where there is none."""
    wanted = rois["surface"]["folder"]
    place = Path(wanted.replace("{subject}", sub.removeprefix("sub-"))) if wanted else None
    return place if place and place.is_dir() else None


def files(rois: Mapping, sub: str, *names: str) -> list[str]:
    """Return surfaces of a subject, ``white`` for instance, left before right; [] without any."""
    place = folder(rois, sub)
    if place is None:
        return []
    return [str(place / "surf" / f"{hemi}.{name}") for name in names for hemi in ("lh", "rh")]


def average_spheres(rois: Mapping, sub: str) -> list[str]:
    """Return the spheres of fsaverage, whose folder lies beside that of the subject."""
    surf = folder(rois, sub).parent / "fsaverage" / "surf"
    return [str(surf / f"{hemi}.sphere.reg") for hemi in ("lh", "rh")]


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
    if folder(rois, sub) is None:
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


def find(surface: Mapping, *, sub: str, space: str) -> list[dict]:
    """Return the entries of regions on the surfaces of a subject."""
    if not are_asked(surface) or not folder({"surface": surface}, sub):
        return []
    if space != "T1w":
        raise ConfigError(
            f"Configuration key `rois.surface`: surfaces lie in the space of the T1w, and the "
            f"output in {space}; set `output.space: T1w`, or take the regions out."
        )
    found = []
    for item in surface["regions"]:
        for file, root in region_images.candidates(item["path"], sub, kinds=region_images.SURFACES):
            entities = region_images.entities_of(file.name)
            if entities.get("space", "fsnative") != "fsnative":
                continue
            entry = region_images.entry({**item, "lookup": None}, file, root, entities)
            entry["threshold"] = item["threshold"]
            found.append(entry | {"space": "surface"})
    return found
