"""Masks of the regions of a subject: read, put onto the output grid, joined, and written."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError
from mebold.files import images, surfaces, tables
from mebold.files.atomic import remove
from mebold.geometry import affines
from mebold.jobs.cortex import Hemisphere
from mebold.rois import expressions, given, masks
from mebold.rois.surfaces import fill
from mebold.rois.table import parse_labels

COLUMNS = ["roi", "category", "n_voxels", "inside", "selectivity", "note", "sources"]
EXPRESSION = "combined"  # category of regions that are made of others


@dataclass
class Region:
    """A region on the output grid.

    Attributes
    ----------
    mask : (x, y, z) bool array
    category : str
    inside : float
        Share of its volume in the brain; NaN for one that is made of others.
    notes, sources : list of str
        What was done, and the files or the expression that it comes from.
    hemi : str or None
        L or R, of an image of one hemisphere.
    selectivity : float
        Contrast in runs that it was not found in, percent; NaN for one of no fitted localizer.
    """

    mask: np.ndarray
    category: str
    inside: float = float("nan")
    notes: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    hemi: str | None = None
    selectivity: float = float("nan")


@dataclass(frozen=True)
class Grid:
    """The output grid of a subject, and how to get from it to other spaces.

    Attributes
    ----------
    brain : (x, y, z) bool array
    affine : (4, 4) array
    to : mapping of str to callable
        Space (``output``, ``template``) to a function that returns the places (V, 3) of the grid's
        voxels there, mm, or None where they have their own.
    cortex : mapping of str to Hemisphere, optional
        Surfaces of the subject by hemisphere.
    least_fill : float
        Share of a voxel that a region of the surface has to fill.
    """

    brain: np.ndarray
    affine: np.ndarray
    to: Mapping[str, Callable[[], np.ndarray | None]]
    cortex: Mapping[str, Hemisphere] = field(default_factory=dict)
    least_fill: float = 0.5


def read(entry: Mapping, grid: Grid, *, least_inside: float) -> dict[str, Region]:
    """Read one image and put its regions onto the grid.

    Parameters
    ----------
    entry : mapping
        From `mebold.jobs.regions.find`.
    grid : Grid
    least_inside : float
        See `mebold.rois.given.check_place`.
    """
    path, threshold = entry["path"], entry["threshold"]
    if entry["space"] == "surface":
        return _of_surface(entry, grid)
    volume, affine = images.load_volume(path)
    labels = None
    if entry["labels"]:
        wanted = {entry["name"]: parse_labels(",".join(map(str, entry["labels"])))}
        sources = masks.masks_from_labels(volume, wanted, name=path)
    else:
        if entry["lookup"]:
            labels = given.lookup(tables.read_tsv(entry["lookup"]), name=entry["lookup"])
        about = {"name": path, "region": entry["name"], "labels": labels}
        sources = given.cut(volume, threshold=threshold, **about)
    points = grid.to[entry["space"]]()
    found = {}
    for name, source in sources.items():
        placed = given.place(
            source, affine, shape=grid.brain.shape, grid=grid.affine, brain=grid.brain,
            points=points, threshold=0.5 if threshold is None else threshold,
        )  # fmt: skip
        given.check_place(placed, region=name, name=path, least_inside=least_inside)
        notes = [placed.note] if placed.note else []
        found[name] = Region(
            placed.mask, entry["category"], placed.inside, notes, [path], entry["hemi"]
        )
    return found


def _of_surface(entry: Mapping, grid: Grid) -> dict[str, Region]:
    """Read the regions of a hemisphere and put them onto the grid, between white and pial."""
    path = entry["path"]
    hemi = surfaces.hemisphere(path)
    cortex = grid.cortex[hemi]
    members = surfaces.read_regions(
        path, vertices=len(cortex.white), name=entry["name"], threshold=entry["threshold"]
    )
    where = {"path": path, "category": entry["category"]}
    return {name: of_vertices(name, one, hemi, grid, **where) for name, one in members.items()}


def of_vertices(
    name: str,
    members: np.ndarray,
    hemi: str,
    grid: Grid,
    *,
    path: str | Path,
    category: str,
) -> Region:
    """Return the voxels between white and pial that some vertices of a hemisphere fill.

    Parameters
    ----------
    name : str
    members : (N,) bool array
    hemi : {"L", "R"}
    grid : Grid
    path : path-like
        Where the region comes from.
    category : str

    Raises
    ------
    DataError
        When no voxel is filled enough.
    """
    cortex = grid.cortex[hemi]
    share = fill(
        members, cortex.faces, cortex.white, cortex.pial,
        shape=grid.brain.shape, affine=grid.affine,
    )  # fmt: skip
    mask = share >= grid.least_fill
    if not mask.any():
        raise DataError(
            f"region {name}: {path} fills no voxel to {100 * grid.least_fill:.0f} % (at most "
            f"{100 * share.max():.0f} %); lower `rois.surface.least_fill`"
        )
    inside = float(share[grid.brain].sum() / share.sum())
    note = f"between white and pial, voxels filled to {100 * grid.least_fill:.0f} % or more"
    return Region(mask, category, inside, [note], [str(path)], hemi)


def gather(entries: Iterable[Mapping], grid: Grid, *, least_inside: float) -> dict[str, Region]:
    """Read all images of a subject; the two hemispheres of a region are joined.

    Raises
    ------
    ConfigError
        When two images give one region.
    """
    found: dict[str, Region] = {}
    for entry in entries:
        for name, region in read(entry, grid, least_inside=least_inside).items():
            other = found.get(name)
            if other is None:
                found[name] = region
            elif other.hemi and region.hemi and other.hemi != region.hemi:
                found[name] = Region(
                    other.mask | region.mask, other.category,
                    float(np.mean([other.inside, region.inside])),
                    [*dict.fromkeys([*other.notes, *region.notes]), "two hemispheres joined"],
                    [*other.sources, *region.sources], other.hemi + region.hemi,
                )  # fmt: skip
            else:
                raise ConfigError(
                    f"region {name} is given twice, by {other.sources[0]} and {entry['path']}: "
                    "leave one of them out of `rois`, or rename it"
                )
    return found


def require_new(found: Iterable[str], regions: Mapping[str, Region], by: str) -> None:
    """Refuse regions whose names are taken by others, naming what gives them: a key, a file."""
    for name in found:
        if name in regions:
            raise ConfigError(
                f"region {name} is given twice, by {regions[name].sources[0]} and by {by}: "
                "rename one of them, or leave it out"
            )


def combined(
    wanted: Mapping[str, str],
    regions: Mapping[str, Region],
    *,
    leave_out: bool,
    owner: str,
    may_be_empty: bool = False,
) -> tuple[dict[str, Region], dict[str, str]]:
    """Make regions of others, see `mebold.rois.expressions.evaluate`.

    Raises
    ------
    ConfigError
        For an unknown name; for one without any voxel, unless `leave_out` or `may_be_empty`: of
        regions that the data choose it is a result, of given ones a mistake.
    """
    held = {name: region.mask for name, region in regions.items()}
    made, left_out = expressions.evaluate(wanted, held, leave_out=leave_out, owner=owner)
    empty = [name for name, mask in made.items() if not (mask.any() or may_be_empty)]
    if empty and not leave_out:
        name = empty[0]
        raise ConfigError(
            f"Configuration key `rois.expressions`: {name}: {wanted[name]!r} is empty for {owner}: "
            "no voxel belongs to it. Change it, or set `rois.missing: leave_out`."
        )
    left_out |= dict.fromkeys(empty, "empty")
    return {
        name: Region(mask, EXPRESSION, sources=[wanted[name]])
        for name, mask in made.items()
        if name not in left_out
    }, left_out


def write(
    regions: Mapping[str, Region],
    folder: str | Path,
    affine: np.ndarray,
    *,
    prefix: str,
    about: Callable[..., dict],
    older: str | Path | None = None,
) -> None:
    """Write masks as the reference dataset has them, and remove those of an earlier list.

    Parameters
    ----------
    regions : mapping
    folder : path-like
        Of the subject in the dataset of regions.
    affine : (4, 4) array
    prefix : str
        Of the names: entities up to the space.
    about : callable
        Takes keys, returns the sidecar of one file.
    older : path-like, optional
        Folder in which masks are named after their region alone.
    """
    folder, size = Path(folder), affines.voxel_sizes(affine)
    res = f"{min(size):.1f}".replace(".", "pt")
    names = {
        name: folder / one.category / f"{prefix}_res-{res}_label-{name}_mask.nii.gz"
        for name, one in regions.items()
    }
    for path in folder.glob(f"*/{prefix}_res-*_label-*_mask.nii.gz"):
        if path not in names.values():
            remove_image(path)
    text = " x ".join(f"{v:.4g}" for v in size) + " mm, the grid of the BOLD"
    for name, one in regions.items():
        said = {"Type": "ROI", "Resolution": text, "Regions": one.sources, "Notes": one.notes}
        if np.isfinite(one.selectivity):
            said["Selectivity"] = round(one.selectivity, 4)
        if np.isfinite(one.inside):
            said["ShareInBrain"] = round(one.inside, 4)
        keys = {"dtype": np.uint8, "metadata": about(**said)}
        names[name].parent.mkdir(parents=True, exist_ok=True)
        images.save(names[name], one.mask, affine, **keys)
        if older:
            Path(older).mkdir(parents=True, exist_ok=True)
            images.save(Path(older, f"{name}.nii.gz"), one.mask, affine, **keys)


def remove_image(path: Path) -> None:
    """Remove an image that a job of ours wrote, with its sidecar."""
    with contextlib.suppress(OSError, ValueError):
        made = tables.read_json(tables.sidecar(path)).get("GeneratedBy") or [{}]
        if made[0].get("Name") == "mebold":
            remove(path)
            remove(tables.sidecar(path))


def listed(regions: Mapping[str, Region], left_out: Mapping[str, str]) -> pd.DataFrame:
    """Return a row per region: what it is, how large, and where it comes from, or why it is not."""
    rows = [
        (name, r.category, int(r.mask.sum()), r.inside, r.selectivity, "; ".join(r.notes) or "n/a",
         "; ".join(Path(s).name if "/" in s else s for s in r.sources) or "n/a")
        for name, r in regions.items()
    ]  # fmt: skip
    rows += [(name, "n/a", 0, np.nan, np.nan, why, "n/a") for name, why in left_out.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def packed(regions: Mapping[str, Region]) -> dict[str, np.ndarray]:
    """Return regions as arrays: positions on the grid by name, and categories."""
    held = {f"at_{name}": np.flatnonzero(region.mask) for name, region in regions.items()}
    return held | {f"in_{name}": np.array(r.category) for name, r in regions.items()}


def unpacked(held: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, Region]:
    """Return what `packed` made of regions."""
    found = {}
    for key, positions in held.items():
        if key.startswith("at_"):
            mask = np.zeros(int(np.prod(shape)), bool)
            mask[positions] = True
            name = key.removeprefix("at_")
            found[name] = Region(mask.reshape(shape), str(held[f"in_{name}"]))
    return found


#: What the columns of `listed` are, for a sidecar.
MEANINGS = {
    "category": "Folder of the mask",
    "n_voxels": "Voxels of the region on the output grid",
    "inside": "Share of the volume of the given mask that lies in the brain, 0 to 1",
    "selectivity": "Mean of its contrast, percent: the region found in one half of the runs and "
    "measured in the other, both ways; n/a for regions of no fitted localizer",
    "note": "What was done to the given mask",
    "sources": "Images, or regions, that it was made of",
}
