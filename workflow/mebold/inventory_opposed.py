"""The EPI image of a run that makes a pair with fieldmap images of one direction only."""

from collections.abc import Callable, Iterable

from mebold.sdc import opposite


def directions(images: Iterable[dict]) -> set[str]:
    """Return the phase encodings of magnitude images whose readout time is known."""
    return {
        image["phase_encoding_direction"]
        for image in images
        if image["component"] == "mag" and image["total_readout_time"]
    } - {None}


def opposed_image(
    images: Iterable[dict], rows: Iterable[dict], corrected: Callable[[dict], bool]
) -> dict | None:
    """Choose the image of a run that was displaced the other way.

    Parameters
    ----------
    images : iterable of dict
        Rows of the fieldmap's EPI images.
    rows : iterable of dict
        Rows of the run table.
    corrected : callable
        Tells of a row whether the metadata give its run to this fieldmap.

    Returns
    -------
    dict or None
        The first echo of a single-band reference of the same session, else of a series: of a run
        that the fieldmap is meant for, if any is. None without such an image.
    """
    images = list(images)
    wanted = {opposite(direction) for direction in directions(images)}
    candidates = [
        row
        for row in rows
        if row["datatype"] == "func"
        and row["folder"] == images[0]["folder"]
        and row["suffix"] in ("sbref", "bold")
        and row["image_state"] == images[0]["image_state"]
        and directions([row]) & wanted
    ]
    rank = {"sbref": 0, "bold": 1}
    return min(
        candidates,
        key=lambda row: (
            not corrected(row), rank[row["suffix"]], row["stem"], row["echo_time"] or 0.0
        ),
        default=None,
    )  # fmt: skip
