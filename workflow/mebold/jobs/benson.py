"""Visual areas that the folds of a subject predict: Benson's atlas, by the package neuropythy."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mebold.errors import ConfigError, DataError
from mebold.jobs.region_masks import Grid, Region, of_vertices

#: Areas by their number in the atlas; the first three are cut at the horizontal meridian.
AREAS = (*("V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1", "LO2", "TO1", "TO2", "V3b", "V3a"),)
_CUT = 3
_HORIZONTAL_DEG = 90.0  # polar angle from the upper vertical meridian
_CATEGORY = "retinotopy"
_KEY = "Configuration key `rois.surface.benson`"


def areas(maps: Mapping[str, np.ndarray], *, most_eccentric_deg: float) -> dict[str, np.ndarray]:
    """Return the vertices of each area of a hemisphere.

    Parameters
    ----------
    maps : mapping of str to (N,) array
        ``varea`` (number in `AREAS` from 1, 0 for none), ``angle`` (degrees from the upper vertical
        meridian, of either sign) and ``eccen`` (degrees).
    most_eccentric_deg : float
        Vertices of a higher eccentricity belong to no area.

    Returns
    -------
    dict of str to (N,) bool array
        V1 to V3 ventral (``V1v``, upper visual field) and dorsal (``V1d``, lower one), then the
        others; areas without a vertex are absent.
    """
    number = np.round(np.asarray(maps["varea"])).astype(int)
    near = np.asarray(maps["eccen"]) <= most_eccentric_deg
    upper = np.abs(maps["angle"]) <= _HORIZONTAL_DEG
    found = {}
    for index, name in enumerate(AREAS):
        own = (number == index + 1) & near
        parts = {f"{name}v": own & upper, f"{name}d": own & ~upper} if index < _CUT else {name: own}
        found |= {part: members for part, members in parts.items() if members.any()}
    return found


def predict(folder: str | Path) -> dict[str, Mapping[str, np.ndarray]]:
    """Return ``varea``, ``angle`` and ``eccen`` of both hemispheres of a FreeSurfer folder.

    The atlas lies on FreeSurfer's fsaverage, whose folder is expected beside the subject's.

    Raises
    ------
    ConfigError
        When neuropythy is not installed.
    DataError
        When a folder lacks what neuropythy reads.

    References
    ----------
    Benson et al. 2014, PLoS Computational Biology 10:e1003538.
    """
    try:
        import neuropythy
    except ImportError as error:
        raise ConfigError(
            f"{_KEY}: the package neuropythy is not installed, and mebold does not come with it. "
            "Install it into the environment of the rule `roi_masks` (pip install neuropythy), or "
            "leave the key out."
        ) from error
    average = Path(folder).parent / "fsaverage"
    # neuropythy would look elsewhere, and at last ask the network.
    if not (average / "surf").is_dir():
        raise DataError(
            f"{_KEY}: {average} is missing: the atlas lies on the fsaverage that FreeSurfer puts "
            "beside its subjects. Copy or link it there."
        )
    neuropythy.freesurfer.add_subject_path(str(average.parent))
    try:
        subject = neuropythy.freesurfer_subject(str(folder))
        return dict(zip("LR", neuropythy.vision.predict_retinotopy(subject), strict=True))
    except (StopIteration, LookupError, ValueError, OSError) as error:
        raise DataError(
            f"{_KEY}: neuropythy cannot read {folder} or {average} ({type(error).__name__}: "
            f"{error}). It needs `surf/?h.{{white,pial,sphere,sphere.reg}}` and `mri/ribbon.mgz` "
            "or `mri/brain.mgz` of each."
        ) from error


def regions(folder: str | Path, grid: Grid, *, most_eccentric_deg: float) -> dict[str, Region]:
    """Put the areas of both hemispheres onto the output grid, between white and pial.

    Raises
    ------
    DataError
        When the atlas has other vertices than the surfaces.
    """
    found: dict[str, Region] = {}
    source = [f"Benson's atlas on {Path(folder).name} (neuropythy)"]
    for hemi, maps in predict(folder).items():
        vertices = len(grid.cortex[hemi].white)
        if len(maps["varea"]) != vertices:
            raise DataError(
                f"{_KEY}: {folder}: the atlas has {len(maps['varea'])} vertices in hemisphere "
                f"{hemi}, the surface {vertices}; they are of two runs of FreeSurfer"
            )
        for name, members in areas(maps, most_eccentric_deg=most_eccentric_deg).items():
            one = of_vertices(name, members, hemi, grid, path=folder, category=_CATEGORY)
            other = found.get(name)
            mask = one.mask if other is None else one.mask | other.mask
            inside = one.inside if other is None else float(np.mean([one.inside, other.inside]))
            found[name] = Region(mask, _CATEGORY, inside, one.notes, source, hemi)
    return found
