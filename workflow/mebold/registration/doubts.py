"""Whether an alignment can be trusted: numbers against limits, and what a user is told."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Floor(NamedTuple):
    """A number that must not be low: its name, the key of its limit, and words for both.

    Attributes
    ----------
    number : str
        Of the quality.
    key : str
        Of the limit, with its section of the configuration.
    what, meaning : str
        What the number is, and what a low one says.
    """

    number: str
    key: str
    what: str
    meaning: str


#: Of alignments of reference images with each other and with the anatomy.
COREG = (
    Floor(
        "correlation",
        "coreg.least_correlation",
        "correlation of the aligned reference images",
        "the head turned further than was found, or the runs differ in contrast or coverage",
    ),
    Floor(
        "mutual_information",
        "coreg.least_mutual_information",
        "mutual information with the anatomy (nats)",
        "the alignment with the anatomy may be wrong",
    ),
    Floor(
        "mask_dice",
        "coreg.least_dice",
        "Dice overlap of the brain masks",
        "the alignment or one of the masks may be wrong",
    ),
    Floor(
        "coverage",
        "coreg.least_coverage",
        "share of the brain inside the field of view",
        "the rest has no data in this run",
    ),
)

#: Of the mean of a series with its single-band reference.
SBREF = COREG[:1]

#: Of the alignment of a T2w image with the T1w image.
T2W = (
    Floor(
        "mutual_information",
        "coreg.least_mutual_information",
        "mutual information of T2w and T1w (nats)",
        "their alignment may be wrong",
    ),
)

#: Of the alignment of a field map's magnitude with a distorted reference image.
FIELDMAP = (
    Floor(
        "mutual_information",
        "fmap.least_mutual_information",
        "mutual information with the magnitude of the fieldmap (nats)",
        "the field may be read in the wrong place",
    ),
    Floor(
        "coverage",
        "fmap.least_coverage",
        "share of the brain inside the fieldmap",
        "the field beyond it is that of its outermost voxels",
    ),
)

#: Of the alignment of a T1w image with a template.
TEMPLATE = (
    Floor(
        "correlation",
        "template.least_correlation",
        "correlation of T1w and template in the brain",
        "the alignment with the template, or the brain mask of the T1w, may be wrong",
    ),
    Floor(
        "mask_dice",
        "template.least_dice",
        "Dice overlap of the brain masks",
        "the alignment with the template, or the brain mask of the T1w, may be wrong",
    ),
)

#: Numbers of a caption, in this order.
_IN_WORDS = (
    ("correlation", "correlation {:.3f}"),
    ("mutual_information", "mutual information {:.2f}"),
    ("mask_dice", "Dice {:.3f}"),
    ("round_trip_mm", "there and back {:.2f} mm"),
    ("shift_mm", "moved {:.1f} mm"),
    ("rotation_deg", "turned {:.1f}°"),
)


def of(
    quality: Mapping,
    limits: Mapping[str, float],
    rules: Sequence[Floor],
    *,
    other: str = "the anatomy",
) -> list[str]:
    """Judge an alignment.

    Parameters
    ----------
    quality : mapping
        Any of the numbers of the rules, ``mutual_information_nearby``, ``converged``,
        ``bbr_refused`` and ``bbr_shift_mm``; what is None or absent is not judged.
    limits : mapping
        The section of the configuration that the rules name.
    rules : sequence of Floor
        `COREG`, `SBREF`, `T2W`, `FIELDMAP` or `TEMPLATE`.
    other : str
        What the image was aligned with, for the sentence on places nearby.

    Returns
    -------
    list of str
        One sentence per doubt; empty when nothing speaks against the alignment.
    """
    found = []
    for number, key, what, meaning in rules:
        value, limit = quality.get(number), limits[key.partition(".")[2]]
        if value is not None and not value >= limit:
            found.append(f"{what} is {value:.2f}, below {limit:g} ({key}): {meaning}.")
    nearby = quality.get("mutual_information_nearby")
    if nearby is not None and nearby >= quality["mutual_information"]:
        found.append(
            f"mutual information with {other} is higher a few mm or degrees away "
            f"({nearby:.3f} against {quality['mutual_information']:.3f}): the alignment is wrong."
        )
    if quality.get("converged") is False:
        found.append("the fit to the reference run did not converge: its motion is not known.")
    if quality.get("bbr_refused") == "shift":
        found.append(
            f"the boundary-based refinement was refused, it moved a brain voxel by "
            f"{quality['bbr_shift_mm']:.1f} mm (coreg.bbr_limit_mm): the start may be wrong."
        )
    return found


def caption(quality: Mapping, found: Sequence[str]) -> str:
    """Return the line under a registration figure: the numbers, and the first doubt."""
    known = [
        text.format(quality[name])
        for name, text in _IN_WORDS
        if quality.get(name) is not None and np.isfinite(quality[name])
    ]
    return ", ".join(known) + (f"; WARNING: {found[0]}" if found else "")
