"""The weakest response that survives NORDIC in a run: maps, numbers and words about them."""

from collections.abc import Mapping

import numpy as np

from mebold.geometry.masks import foreground_mask
from mebold.nordic import survival

UNITS = "percent of the mean signal"


def maps(
    magnitude: np.ndarray,
    regressors: np.ndarray,
    made: Mapping,
    *,
    gfactor: np.ndarray,
    noise_sd: np.ndarray,
    patch_overlap: float,
    compat: bool,
    responding_share: float,
    kept_share: float,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Map the weakest response that survives.

    Parameters
    ----------
    magnitude : (x, y, z, t) array
        One echo as measured, with the noise volumes at its end but without a separate noise scan.
    regressors : (trials, t) array
        Response to every trial, peak 1; without the noise volumes.
    made : mapping
        What `mebold.nordic.record.record` says of the denoised echo.
    gfactor, noise_sd : (x, y, z) array
        Of `mebold.nordic.run.NordicResult`.
    patch_overlap, compat
        Options of the denoising.
    responding_share, kept_share
        See `mebold.nordic.survival`.

    Returns
    -------
    maps : dict
        ``shared``: response that all trials share; ``images``: standard deviation of differences
        between trials that are independent between voxels; ``dimension``: of differences along
        one dimension; (x, y, z) float32, percent.
    head : (x, y, z) bool
        Where medians are taken.
    """
    noise, result = made["NoiseVolumes"], made["Result"]
    steady = magnitude[..., : magnitude.shape[3] - noise["AtTheEnd"]]
    signal = np.nan_to_num(steady.mean(axis=3), nan=0, posinf=0, neginf=0)
    patches = survival.patches_of(
        signal,
        gfactor,
        noise_sd,
        is_complex=made["Complex"],
        n_volumes=magnitude.shape[3] + noise["SeparateScan"],
        threshold=result["threshold"],
        kernel_size=result["kernel_size"],
        patch_overlap=patch_overlap,
        compat=compat,
        responding=responding_share,
    )
    design = survival.design_energy(regressors)
    kinds = ("shared", "images", "dimension")
    found = {kind: patches.weakest(design, kind=kind, kept=kept_share) for kind in kinds}
    return found, foreground_mask(signal)


def record(
    found: Mapping[str, np.ndarray],
    head: np.ndarray,
    *,
    origin: str,
    responding_share: float,
    kept_share: float,
    weakest_limit_percent: float,
) -> dict:
    """Numbers and words for the sidecars, the figure and the log.

    Parameters
    ----------
    found, head
        As from `maps`.
    origin : str
        What the regressors are.
    responding_share, kept_share, weakest_limit_percent
        As configured.

    Returns
    -------
    dict
        ``WeakestResponse``, ``WeakestDifference`` and ``WeakestDifferenceAlongOneDimension``
        (medians in the head, percent), what they rest on, ``Summary`` and ``Warnings``.
    """
    medians = {kind: float(np.nanmedian(values[head])) for kind, values in found.items()}
    shared = medians["shared"]
    summary = (
        f"Weakest response that survives: {_percent(shared)} shared by all trials; differences "
        f"between trials (SD) of {_percent(medians['dimension'])} along one dimension, of "
        f"{_percent(medians['images'])} independent between voxels (medians in the head). For "
        f"{100 * responding_share:g} % of the voxels of a patch "
        f"responding, {100 * kept_share:g} % of the amplitude left, and {origin}."
    )
    warnings = []
    if shared > weakest_limit_percent:
        warnings.append(
            f"NORDIC removes responses below {_percent(shared)} in half of the head, more than "
            f"{weakest_limit_percent:g} % (`nordic.weakest_limit_percent`). Weak responses may be "
            "lost: compare with a variant without NORDIC. Longer runs, larger signal or more "
            "voxels that respond together lower the limit."
        )
    return {
        "WeakestResponse": shared,
        "WeakestDifference": medians["images"],
        "WeakestDifferenceAlongOneDimension": medians["dimension"],
        "RespondingShare": responding_share,
        "KeptShare": kept_share,
        "Design": origin,
        "Summary": summary,
        "Warnings": warnings,
    }


def _percent(value: float) -> str:
    top = survival.AMPLITUDES[-1]
    return f"above {top:g} %" if value >= top else f"{value:.2g} %"
