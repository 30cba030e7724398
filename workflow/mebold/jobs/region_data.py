"""Regions of a subject's task that need its results: derived, chosen by the data, made of both."""

from collections.abc import Mapping, Sequence

import numpy as np

from mebold.anat import labels
from mebold.errors import ConfigError
from mebold.files import series
from mebold.jobs.region_masks import Region, combined
from mebold.rois import data_driven, expressions

#: Category of regions that are chosen by a map which their tables hold.
DATA = "data"


def make(
    given: Mapping[str, Region],
    *,
    mask: np.ndarray,
    brain: np.ndarray,
    dseg: np.ndarray,
    data: Mapping,
    visual: Sequence[np.ndarray],
    score: Sequence[np.ndarray],
    listed: Mapping[str, str],
    settings: Mapping,
    owner: str,
) -> tuple[dict[str, Region], dict[str, str]]:
    """Return the regions beside those that are given.

    Parameters
    ----------
    given : mapping of str to Region
        Expressions of these are made already.
    mask, brain : (x, y, z) bool array
        Voxels of the maps, and those of the brain.
    dseg : (x, y, z) array
        Tissue classes; 0 throughout where they are not known.
    data : mapping
        Of the primary variant, in the voxels of `mask`: ``significant``, ``r2``, ``nc``; and
        ``threshold``, the ceiling that 5 % of voxels pass by chance.
    visual, score : sequence of arrays
        Region of the comparison, (x, y, z), and the response it was chosen by, (V,); empty without
        a comparison.
    listed : mapping of str to str
        Names by which the list of regions asks for the region of the comparison, and categories.
    settings : mapping
        Section `rois`.
    owner : str
        Subject, for messages.

    Returns
    -------
    regions : dict of str to Region
    left_out : dict of str to str
        What is not made, and why.
    """
    leave_out = settings["missing"] == "leave_out"
    how = {"leave_out": leave_out, "owner": owner, "may_be_empty": True}
    derived = _derived(mask=mask, brain=brain, dseg=dseg, data=data, settings=settings)
    if visual:
        names = {"visual": "derived"} if "visual" in settings["derived"] else {}
        about = ["responds to images in left-out runs (comparison of the variants)"]
        for name, category in (names | dict(listed)).items():
            derived[name] = Region(visual[0] & mask, category, sources=about)
    taken = sorted(set(derived) & set(given))
    if taken:
        raise ConfigError(
            f"region {taken[0]} of {owner} is given by {given[taken[0]].sources or 'an image'} and "
            "is a name of `rois.derived`: rename it, or take the name out of `rois.derived`"
        )
    made, left_out = dict(derived), {}
    # Regions of best voxels may be parts of expressions, and may be chosen from others.
    wanted = {n: text for n, text in settings["expressions"].items() if n not in given}
    best = {item["name"]: item for item in settings["best"]}
    early = {name: text for name, text in wanted.items() if not _needs(name, wanted) & set(best)}
    there, without = combined(early, {**given, **made}, **how)
    made |= there
    left_out |= without
    values = {"r2": data["r2"], "noiseceiling": data["nc"], "visual": next(iter(score), None)}
    for name, item in best.items():
        region = {**given, **made}.get(item["of"])
        chosen_by = values[item["by"]]
        lacking = f"there is no region {item['of']}" if region is None else ""
        lacking = lacking or ("there is no comparison" if chosen_by is None else "")
        if lacking and not leave_out:
            raise ConfigError(
                f"Configuration key `rois.best`: {name}: {lacking} of {owner}; there are "
                f"{', '.join(sorted({**given, **made}))}. Set `rois.missing: leave_out` to leave "
                "such a region out of a subject."
            )
        if lacking:
            left_out[name] = lacking
            continue
        chosen = data_driven.best(
            np.where(np.isfinite(chosen_by), chosen_by, np.nan), region.mask[mask],
            voxels=item["voxels"], name=name,
        )  # fmt: skip
        category = DATA if item["by"] == "noiseceiling" else "derived"
        about = [f"{item['voxels']} voxels of {item['of']} with the highest {item['by']}"]
        made[name] = Region(series.unmask(chosen, mask), category, sources=about)
    late = {name: text for name, text in wanted.items() if name not in early}
    there, without = combined(late, {**given, **made}, **how)
    return made | there, left_out | without


def _derived(
    *, mask: np.ndarray, brain: np.ndarray, dseg: np.ndarray, data: Mapping, settings: Mapping
) -> dict[str, Region]:
    """Return the regions that need neither images nor a comparison."""
    grey = np.round(dseg) == labels.GM
    reliable = settings["reliable"]
    above = data["significant"]
    said = "noise ceiling above chance (false discovery rate)"
    if reliable["above"] == "chance":
        limit = data["threshold"]
        above = np.nan_to_num(data["nc"]) > (np.inf if limit is None else limit)
        said = f"noise ceiling above {limit} percent, which 5 % of voxels pass by chance"
    chosen = data_driven.reliable(above, data["r2"], least_r2=reliable["least_r2"])
    reliable_there = series.unmask(chosen, mask)
    said += f", R2 of {reliable['least_r2']:g} percent or more"
    found = {
        "brain": Region(brain & mask, "derived", sources=["brain mask"]),
        "greyMatter": Region(grey & mask, "derived", sources=["tissue classes of the T1w"]),
        "reliable": Region(reliable_there & brain, DATA, sources=[said]),
    }
    # Without tissue classes there is no grey matter; without reliable voxels the row says so.
    return {
        name: region
        for name, region in found.items()
        if name in settings["derived"] and (name != "greyMatter" or region.mask.any())
    }


def _needs(name: str, wanted: Mapping[str, str]) -> set[str]:
    """Return all names that an expression is made of, those of its parts included."""
    found = expressions.names_in(expressions.parse(name, wanted[name]))
    parts = [_needs(part, wanted) for part in found & set(wanted)]
    return found.union(*parts)
