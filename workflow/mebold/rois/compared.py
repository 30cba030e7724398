"""The region in which variants are compared: one mask for all, that no variant defines alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from mebold.errors import ConfigError, DataError
from mebold.rois import visual


@dataclass(frozen=True)
class Region:
    """The region of a comparison.

    Attributes
    ----------
    mask : (V,) bool array
    score : (V,) array
        What the voxels were chosen by, 0 where it is not known.
    about : str
        A sentence about both.
    fallback : str
        Why the region is not the visually responsive voxels that were asked for; empty if it is.
    voxels : dict of str to int
        Voxels that each variant would have chosen alone.
    """

    mask: np.ndarray
    score: np.ndarray
    about: str
    fallback: str = ""
    voxels: dict[str, int] = field(default_factory=dict)


def is_mask(source: str, variants: Collection[str]) -> bool:
    """Tell whether a source of the region is a mask of the user, neither vote nor variant."""
    return source != "consensus" and source not in variants


def choose(
    scores: Mapping[str, np.ndarray],
    *,
    brain: np.ndarray,
    source: str,
    threshold: float,
    given: np.ndarray | None = None,
    grey: np.ndarray | None = None,
) -> Region:
    """Choose the region from the variants' cross-validated visual responses, or take a given one.

    Where no voxels respond above the threshold (or nothing can be measured: a task without blanks,
    no response at all), variants are still compared, in the first of these that has ten voxels:
    grey matter that responds at all (a positive score), grey matter, the brain.

    Parameters
    ----------
    scores : mapping of variant to (V,) array
        See `mebold.rois.visual.visual_response`; NaN where it is not known.
    brain : (V,) bool array
        The region stays inside.
    source : str
        ``consensus`` (voxels that more than half of the variants would choose), a variant's name,
        or where `given` comes from.
    threshold : float
        Score above which a voxel belongs to the region.
    given : (V,) bool array, optional
        Region of the user.
    grey : (V,) bool array, optional
        Grey matter; the brain unless given.

    Returns
    -------
    Region

    Raises
    ------
    ConfigError
        When a given mask has no ten voxels in the brain.
    """
    # A voxel without signal in one of the runs has no score and is no member.
    known = {name: np.where(brain, np.nan_to_num(score), 0) for name, score in scores.items()}
    voxels = {name: int((score > threshold).sum()) for name, score in known.items()}
    consensus = visual.consensus(list(known.values()))
    if given is not None:
        mask = given & brain
        if mask.sum() < visual.FEWEST_VOXELS:
            raise ConfigError(
                f"Configuration key `visual_roi.source`: the mask {source} has {mask.sum()} voxels "
                f"in the brain, at least {visual.FEWEST_VOXELS} are needed."
            )
        return Region(mask, consensus, f"Mask of the user: {source}.", voxels=voxels)
    score = consensus if source == "consensus" else known[source]
    who = (
        "that more than half of the variants share"
        if source == "consensus"
        else f"of the variant {source}"
    )
    about = (
        f"Cross-validated image-versus-blank response {who}, above {threshold:g} "
        "(leave one run out, t-like)."
    )
    try:
        return Region(visual.select(score, threshold=threshold), score, about, voxels=voxels)
    except DataError:
        found = np.count_nonzero(score > threshold)
    grey = brain if grey is None else brain & grey
    why = f"{found} voxels respond above {threshold:g}, fewer than {visual.FEWEST_VOXELS}"
    others = (
        (grey & (score > 0), "grey matter with a positive cross-validated response"),
        (grey, "grey matter"),
        (brain, "the whole brain"),
    )
    mask, what = next((one for one in others if one[0].sum() >= visual.FEWEST_VOXELS), others[-1])
    fallback = f"{why}: variants are compared in {what} ({int(mask.sum())} voxels)"
    return Region(mask, score, f"{fallback[0].upper()}{fallback[1:]}.", fallback, voxels)
