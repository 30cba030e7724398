"""Which images a UNIT1 was made of, and what is done with them."""

from collections.abc import Iterable, Mapping

from mebold.anat import mp2rage_t1
from mebold.errors import MetadataError
from mebold.files import bids
from mebold.inventory.findings import series_of

#: Entities in which the two inversions differ from the combined image.
_OWN = ("inversion", "part", "echo", "suffix", "extension")


def inversions(unit1: Mapping, rows: Iterable[Mapping]) -> list[dict]:
    """Return the rows of the magnitudes that a UNIT1 was made of: two, or none.

    Parameters
    ----------
    unit1 : mapping
        Row of the run table.
    rows : iterable of mapping
        Rows of the subject's ``MP2RAGE`` images. Of several echoes the first is taken.
    """
    wanted = _shared(unit1)
    found: dict[str, dict] = {}
    for row in sorted(rows, key=lambda row: (row["echo_time"] or 0.0, row["path"])):
        if row["component"] == "mag" and _shared(row) == wanted and not series_of(row):
            found.setdefault(str(row["inversion"]).lstrip("0"), row)
    pair = [found.get(number) for number in ("1", "2")]
    return [] if None in pair else pair


def _shared(row: Mapping) -> dict:
    return {k: v for k, v in bids.parse(row["path"]).items() if k not in _OWN}


def protocol(pair: list[dict], *, efficiency: float) -> tuple[mp2rage_t1.Protocol | None, str]:
    """Return what the T1 map follows from, or None, and the sentence that goes with it."""
    if not pair:
        return None, "no T1 map: its INV1 and INV2 images, whose sidecars tell, are not there"
    try:
        return mp2rage_t1.protocol_of(pair, efficiency=efficiency)
    except MetadataError as error:
        return None, f"no T1 map: {pair[0]['path']}: {error}"


def note(pair: list[dict], *, efficiency: float) -> str:
    """Say how a UNIT1 becomes a T1w."""
    how = (
        "cleaned of its background with INV1 and INV2"
        if pair
        else "without INV1 and INV2: its background is found by its roughness"
    )
    found, about = protocol(pair, efficiency=efficiency)
    return ", ".join(filter(None, (f"UNIT1 in place of a T1w, {how}", about if not found else "")))
