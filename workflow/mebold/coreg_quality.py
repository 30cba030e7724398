"""Whether an alignment can be trusted: numbers against limits, and what a user is told."""

import numpy as np

#: Quality number -> (key of the limits, what is low, what to look at).
_LOW = {
    "correlation": (
        "least_correlation",
        "correlation of the aligned reference images",
        "the head turned further than was found, or the runs differ in contrast or coverage",
    ),
    "mutual_information": (
        "least_mutual_information",
        "mutual information with the anatomy (nats)",
        "the alignment with the anatomy may be wrong",
    ),
    "mask_dice": (
        "least_dice",
        "Dice overlap of the brain masks",
        "the alignment or one of the masks may be wrong",
    ),
}


def warnings(quality: dict, limits: dict) -> list[str]:
    """Judge an alignment.

    Parameters
    ----------
    quality : dict
        Any of ``correlation``, ``mutual_information``, ``mutual_information_nearby``,
        ``mask_dice``, ``converged``, ``bbr_accepted`` and ``bbr_shift_mm``; what is None or absent
        is not judged.
    limits : dict
        ``least_correlation``, ``least_mutual_information`` (nats) and ``least_dice``.

    Returns
    -------
    list of str
        One sentence per doubt; empty when nothing speaks against the alignment.
    """
    found = []
    for name, (key, what, meaning) in _LOW.items():
        value = quality.get(name)
        if value is not None and not value >= limits[key]:
            found.append(f"{what} is {value:.2f}, below {limits[key]:g} (coreg.{key}): {meaning}.")
    nearby = quality.get("mutual_information_nearby")
    if nearby is not None and nearby >= quality["mutual_information"]:
        found.append(
            f"mutual information with the anatomy is higher a few mm or degrees away "
            f"({nearby:.3f} against {quality['mutual_information']:.3f}): the alignment is wrong."
        )
    if quality.get("converged") is False:
        found.append("the fit to the reference run did not converge: its motion is not known.")
    if quality.get("bbr_accepted") is False and quality.get("bbr_shift_mm") is not None:
        found.append(
            f"the boundary-based refinement was refused, it moved a brain voxel by "
            f"{quality['bbr_shift_mm']:.1f} mm (coreg.bbr_limit_mm): the start may be wrong."
        )
    return found


def caption(quality: dict, doubts: list[str]) -> str:
    """Return the line under a registration figure: the numbers, and whether to look closely."""
    names = (
        ("correlation", "correlation {:.3f}"),
        ("mutual_information", "mutual information {:.2f}"),
        ("mask_dice", "Dice {:.3f}"),
        ("shift_mm", "moved {:.1f} mm"),
        ("rotation_deg", "turned {:.1f}°"),
    )
    known = [
        text.format(quality[name])
        for name, text in names
        if quality.get(name) is not None and np.isfinite(quality[name])
    ]
    return ", ".join(known) + (f"; WARNING: {doubts[0]}" if doubts else "")
