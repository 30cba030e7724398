"""The region in which variants are compared: one mask for all, that no variant defines alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from mebold.rois import visual


@dataclass(frozen=True)
class Region:
    """Voxels of the region, the score they were chosen by, and a sentence about both."""

    mask: np.ndarray
    score: np.ndarray
    about: str


def is_mask(source: str, variants: Collection[str]) -> bool:
    """Tell whether a source of the region is a mask of the user, neither mean nor variant."""
    return source != "consensus" and source not in variants


def choose(
    scores: Mapping[str, np.ndarray],
    *,
    brain: np.ndarray,
    source: str,
    threshold: float,
    given: np.ndarray | None = None,
) -> Region:
    """Choose the region from the variants' cross-validated visual responses, or take a given one.

    Parameters
    ----------
    scores : mapping of variant to (V,) array
        See `mebold.rois.visual.visual_response`.
    brain : (V,) bool array
        The region stays inside.
    source : str
        ``consensus`` (mean over the variants), a variant's name, or where `given` comes from.
    threshold : float
        Score above which a voxel belongs to the region.
    given : (V,) bool array, optional
        Region of the user.

    Returns
    -------
    Region
    """
    consensus = visual.consensus(list(scores.values()))
    if given is not None:
        return Region(given & brain, consensus, f"Mask of the user: {source}.")
    score = consensus if source == "consensus" else scores[source]
    what = "the mean over all variants" if source == "consensus" else f"the variant {source}"
    about = (
        f"Cross-validated image-versus-blank response of {what}, above {threshold:g} "
        "(leave one run out, t-like)."
    )
    # A voxel without signal in one of the runs has no score and is no member.
    score = np.where(brain, np.nan_to_num(score), 0)
    return Region(visual.select(score, threshold=threshold), score, about)
