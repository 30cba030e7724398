"""What a NORDIC run leaves in writing: numbers, warnings, notices."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from mebold.geometry.masks import foreground_mask
from mebold.nordic.echo import Echo
from mebold.nordic.run import NordicResult

PACKAGES = ("numpy", "scipy", "nibabel", "threadpoolctl")
#: Maps of `NordicResult` that users get, and their units.
MAPS = {
    "gfactor": "units of the magnitude: SD of real and imaginary part together",
    "noise_sd": "units of the magnitude: SD of one channel (real or imaginary part)",
    "residual_sd": "units of the magnitude: SD over time of what was removed",
    "components_removed": "number of components, mean over the patches of a voxel",
}
#: Those that the figure shows.
DRAWN = ("gfactor", "residual_sd", "components_removed")
_MEDIANS = ("gfactor", "noise_sd", "residual_sd", "components_removed", "energy_removed")


@contextlib.contextmanager
def noting(say: Callable[[str], object]) -> Iterator[list[str]]:
    """Collect the warnings of a block, and say each when the block ends, with an error or not.

    Parameters
    ----------
    say : callable
        Receives each message, such as ``log.warning``.

    Yields
    ------
    notes : list of str
        Filled when the block ends.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield notes
        finally:
            notes += dict.fromkeys(str(item.message) for item in caught)
            for note in notes:
                say(note)


def before_and_head(echo: Echo, result: NordicResult) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitude that the result is compared with, and where the head is.

    Returns
    -------
    before : (x, y, z, t) float32
        Volumes of ``result.magnitude`` as measured; values that are not finite are 0.
    head : (x, y, z) bool
    """
    before = echo.magnitude[..., : result.magnitude.shape[3]]
    mean = before.mean(axis=3)
    if not np.isfinite(mean).all():
        before = np.nan_to_num(before, nan=0, posinf=0, neginf=0)
        mean = before.mean(axis=3)
    return before, foreground_mask(mean)


def record(
    echo: Echo, result: NordicResult, notes: list[str], head: np.ndarray, *, noise_map: str
) -> dict:
    """Numbers of a run for its sidecar.

    Parameters
    ----------
    echo : Echo
    result : NordicResult
    notes : list of str
        Warnings.
    head : (x, y, z) bool
        Where the medians of the maps are taken.
    noise_map : str
        Where the noise map comes from.

    Returns
    -------
    dict
        ``Description``, ``Complex``, ``NoiseMap``, ``NoiseVolumes``, ``Result`` (attributes of
        `NordicResult` and medians of its maps), ``Warnings``, ``Patent``, ``ReferencesAndLinks``.
    """
    numbers = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if not isinstance(getattr(result, field.name), np.ndarray | None)
    }
    for name in _MEDIANS:
        values = getattr(result, name)[head]
        finite = values[np.isfinite(values)]
        numbers[f"median_{name}"] = float(np.median(finite)) if finite.size else None
    threshold = numbers["threshold"] = result.threshold if np.isfinite(result.threshold) else None
    return {
        "Description": f"Thermal noise removed with {'NORDIC' if threshold else 'MP-PCA'}",
        "Complex": echo.phase is not None,
        "NoiseMap": noise_map,
        "NoiseVolumes": {
            "Count": echo.noise_volumes,
            "AtTheEnd": echo.trailing,
            "SeparateScan": echo.appended,
            "Origin": echo.noise_text,
        },
        "Result": numbers,
        "Warnings": notes,
        "Patent": PATENT,
        "ReferencesAndLinks": list(CITATIONS),
    }


def summary(echo: Echo, record: dict) -> str:
    """Return what a reader must know besides the warnings, one line each.

    Parameters
    ----------
    echo : Echo
    record : dict
        As from `record`.
    """
    numbers = record["Result"]
    threshold = numbers["threshold"]
    parts = "Magnitude and phase" if record["Complex"] else "Magnitude only: no phase images"
    lines = [
        f"{parts}. Noise volumes: {echo.noise_text}.",
        f"Noise map: {record['NoiseMap']}. Measured noise: "
        f"{_number(numbers['median_noise_sd'])} signal units per channel.",
        (f"Threshold {threshold:.4g}, " if threshold else "Marchenko-Pastur rule, ")
        + f"{_number(numbers['median_components_removed'])} of {echo.magnitude.shape[3]} "
        "components removed (medians in the head).",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


PATENT = (
    "NORDIC is covered by US patent 10,768,260 (Regents of the University of Minnesota), whoever "
    "wrote the code; the university licenses the original program for non-profit research and "
    "education."
)
CITATIONS = (
    "Moeller et al. 2021, NeuroImage 226:117539, doi 10.1016/j.neuroimage.2020.117539",
    "Vizioli et al. 2021, Nat Commun 12:5181, doi 10.1038/s41467-021-25431-8",
    "Veraart et al. 2016, NeuroImage 142:394, doi 10.1016/j.neuroimage.2016.08.016",
    "Dowdle et al. 2023, NeuroImage 270:119949, doi 10.1016/j.neuroimage.2023.119949",
)
