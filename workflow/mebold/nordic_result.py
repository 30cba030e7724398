"""What a NORDIC run returns, and the notices that belong to it."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.nordic_passes import Maps
from mebold.nordic_run import Run

_SMOOTHING_VOXELS = 2.0  # leaves some 1 % of scatter from three noise volumes

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


@dataclass(frozen=True)
class NordicResult:
    """Denoised series and what was done to it.

    Attributes
    ----------
    magnitude : (x, y, z, t) float32
        Input units.
    phase : (x, y, z, t) float32 or None
        Input units; None for magnitude-only data or when not asked for.
    gfactor : (x, y, z) float32
        Noise level by which the data were divided, in signal units: for complex data the standard
        deviation of real and imaginary part together (sqrt(2) times that of one channel). NaN
        where no patch lies (last row with ``compat=True``).
    components_removed, energy_removed : (x, y, z) float32
        Means over the patches that cover a voxel: number of removed components; square root of
        the removed fraction of the sum of singular values.
    residual_sd : (x, y, z) float32
        Standard deviation over volumes of (input - output), convention of `gfactor`: for pure
        noise removal a little below it, with no trace of the anatomy.
    noise_sd : (x, y, z) float32
        Noise per channel (real or imaginary part) in signal units, from the lower half of the
        spectrum of the patches (`mebold.nordic_level`). Nearly free of the bias of `gfactor`,
        which is set by the spread of the spectrum and off where the noise level varies within a
        patch; noise volumes correct the map locally. NaN where nothing was removed.
    threshold : float
        On the singular values of data divided by the g-factor; NaN with ``method="mppca"``.
    noise_level : float
        Noise per channel in units of the g-factor: measured in the noise volumes, or assumed.
    kernel_size : tuple of int
        Patch of the denoising pass.
    gfactor_components_removed : (x, y, z) float32 or None
        Number of noise components in the g-factor pass; None when the g-factor was given.
    absolute_scale : float
        Smallest non-zero magnitude of the first volume.
    phase_range : (low, high) or None
        Phase values taken as -pi and +pi.
    noise_volumes : int
        Noise volumes at the end of the input.
    noise_volumes_trimmed : bool
        Whether they are missing in the output.
    """

    magnitude: np.ndarray
    phase: np.ndarray | None
    gfactor: np.ndarray
    components_removed: np.ndarray
    energy_removed: np.ndarray
    residual_sd: np.ndarray
    noise_sd: np.ndarray
    threshold: float
    noise_level: float
    kernel_size: tuple[int, int, int]
    gfactor_components_removed: np.ndarray | None
    absolute_scale: float
    phase_range: tuple[float, float] | None
    noise_volumes: int
    noise_volumes_trimmed: bool


def _noise_sd(run: Run, maps: Maps) -> np.ndarray:
    """Noise per channel in input units, corrected by what the noise volumes show, if any."""
    variance = maps.noise_variance * run.gfactor.astype(np.float64) ** 2
    if run.model.n_noise and run.model.is_complex:
        last = run.model.magnitude.shape[3]
        power = np.zeros(variance.shape)
        for t in range(last - run.model.n_noise, last):
            power += sum(part.astype(np.float64) ** 2 for part in run.model.volume(t))
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = power / run.model.n_noise / variance
        known = np.isfinite(excess) & (power > 0)
        weight = ndimage.gaussian_filter(known.astype(float), _SMOOTHING_VOXELS)
        excess = ndimage.gaussian_filter(np.where(known, excess, 0), _SMOOTHING_VOXELS)
        variance *= np.where(weight > 0, excess / np.maximum(weight, 1e-6), 1)
    return (np.sqrt(variance / len(run.parts)) * run.model.scale).astype(np.float32)


def collect(
    run: Run, maps: Maps, kernel: tuple, threshold: float, level: float, *, trim: bool, phase: bool
) -> NordicResult:
    """Collect what a run has left behind, in input units."""
    n_noise = run.model.n_noise
    kept = run.model.magnitude.shape[3] - (n_noise if trim else 0)
    gain = run.model.scale
    return NordicResult(
        magnitude=run.parts[0][..., :kept],
        phase=run.parts[1][..., :kept] if run.model.is_complex and phase else None,
        gfactor=run.gfactor * np.float32(gain),
        components_removed=maps.components_removed.astype(np.float32),
        energy_removed=maps.energy_removed.astype(np.float32),
        residual_sd=(maps.residual_sd * run.gfactor * gain).astype(np.float32),
        noise_sd=_noise_sd(run, maps),
        threshold=threshold,
        noise_level=level,
        kernel_size=kernel,
        gfactor_components_removed=run.gfactor_components_removed,
        absolute_scale=gain,
        phase_range=run.model.phase_range,
        noise_volumes=n_noise,
        noise_volumes_trimmed=trim and n_noise > 0,
    )
