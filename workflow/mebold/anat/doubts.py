"""What speaks against the anatomy of a scan, in sentences."""

from collections.abc import Mapping

from mebold.anat.tissue import Segmentation

# Adult brains with their fluid; Colin27 has 1,870 ml, children of a few months 700.
_USUAL_ML = (900.0, 2200.0)
_CUT = 0.02
_LEAST_CONTRAST = 1.5


def of(numbers: Mapping[str, float], found: Segmentation) -> list[str]:
    """Return the doubts about a brain mask and its tissue classes.

    Parameters
    ----------
    numbers : mapping
        As in `mebold.anat.measures.MEASURES`.
    found : Segmentation

    Returns
    -------
    list of str
        One sentence per doubt; empty when nothing speaks against them.
    """
    doubts = []
    if found.method != "priors":
        doubts.append(
            f"tissue classes rest on intensities alone ({found.reason}): bright deep grey matter "
            "counts as white."
        )
    low, high = _USUAL_ML
    whole = numbers["intracranial_ml"]
    if not low <= whole <= high:
        doubts.append(
            f"the brain mask has {whole:.0f} ml; heads from a year of age have {low:.0f} to "
            f"{high:.0f} ml: look at the figure."
        )
    if numbers["brain_at_edge"] > _CUT:
        doubts.append(
            f"{100 * numbers['brain_at_edge']:.0f} % of the brain's surface lies on the edge of "
            "the image: it may be cut, and its volumes too small."
        )
    if not numbers["cnr"] >= _LEAST_CONTRAST:
        doubts.append(
            f"white and grey matter differ by {numbers['cnr']:.1f} of their standard deviations, "
            f"{_LEAST_CONTRAST} is the least of a usual T1w image."
        )
    return doubts
