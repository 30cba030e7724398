"""Regions of a subject that are found in the maps of contrasts, and how selective they are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mebold.errors import ConfigError
from mebold.files import arrays, images, series
from mebold.jobs.region_masks import Grid, Region, require_new
from mebold.rois import given, localizer


def localized(
    items: Iterable[Mapping],
    grid: Grid,
    regions: Mapping[str, Region],
    *,
    leave_out: bool,
    mask: np.ndarray | None = None,
) -> tuple[dict[str, Region], dict[str, str]]:
    """Find regions in the maps of contrasts, see `mebold.rois.localizer`.

    Parameters
    ----------
    items : iterable of mappings
        From `mebold.jobs.regions.find_localizers`.
    grid : Grid
    regions : mapping of str to Region
        Where parcels are found.
    leave_out : bool
        Leave out a region whose parcel is not there, instead of raising.
    mask : (x, y, z) bool array, optional
        Voxels of the maps that this workflow fitted.

    Returns
    -------
    found : dict of str to Region
        Those of this workflow's fits have their selectivity.
    left_out : dict of str to str
        Region that the subject does not have, and why.
    """
    maps, wanted, sources, left_out = {}, {}, {}, {}
    halves = [({}, {}), ({}, {})]
    held: dict[str, dict[str, np.ndarray]] = {}
    for item in items:
        name, parcel = item["name"], item["parcel"]
        require_new([name], regions, f"`rois.localizer` ({item['path']})")
        if parcel is not None and parcel not in regions:
            if not leave_out:
                raise ConfigError(
                    f"Configuration key `rois.localizer`: {name}: its parcel {parcel} is no given "
                    f"region; there are {', '.join(regions) or 'none'}. Set `rois.missing: "
                    "leave_out` to leave such a region out of a subject."
                )
            left_out[name] = f"there is no parcel {parcel}"
            continue
        source = item["path"]
        if item["fitted"]:
            if source not in held:
                held[source] = arrays.load_named(source)
            found = _of_contrast(held[source], item)
            own = {key: series.unmask(values, mask, fill=np.nan) for key, values in found.items()}
            source = f"contrast {item['contrast']} ({Path(source).stem.removesuffix('_contrasts')})"
            if "z" not in own:
                left_out[name] = f"no run has all conditions of {source}"
                continue
            maps[name] = own["z"]
            for number, half in enumerate(halves, 1):
                for kind, values in zip(("z", "effect"), half, strict=True):
                    if f"{kind}.{number}" in own:
                        values[name] = own[f"{kind}.{number}"]
        else:
            volume, affine = images.load_volume(source)
            maps[name] = given.values_at(
                volume, affine, shape=grid.brain.shape, grid=grid.affine, points=grid.to["T1w"]()
            )
        within = grid.brain if parcel is None else regions[parcel].mask & grid.brain
        keys = ("threshold", "least_voxels", "largest_cluster")
        how = {key: item[key] for key in keys}
        wanted[name] = localizer.Functional(parcel=within, exclusive=item.get("set"), **how)
        text = f"above {item['threshold']:g}" + (f" in {parcel}" if parcel else "")
        sources[name] = (item["category"], [text], [source], item["fitted"])
    found, without = localizer.regions(maps, wanted)
    fitted = {name: one for name, one in wanted.items() if sources[name][3]}
    measured = localizer.selectivity(halves, fitted)
    made = {}
    for name, mask_of in found.items():
        category, notes, files, _ = sources[name]
        value, note = measured.get(name, (float("nan"), ""))
        notes = [*notes, note] if note else notes
        made[name] = Region(mask_of, category, notes=notes, sources=files, selectivity=value)
    return made, left_out | without


def _of_contrast(fit: Mapping[str, np.ndarray], item: Mapping) -> dict[str, np.ndarray]:
    """Return the maps of a contrast: ``z``, ``effect`` and those of halves, such as ``z.1``."""
    found = {}
    for key, values in fit.items():
        kind, name, *half = key.split(".")
        if name == item["contrast"] and kind in ("z", "effect"):
            found[".".join([kind, *half])] = values
    return found
