"""NORDIC: removal of thermal noise from complex or magnitude fMRI series.

Written from a description of the method and of the behaviour of the program NIFTI_NORDIC
(repository SteenMoeller/NORDIC_Raw, commit ba924a3), whose results it reproduces with
``compat=True``; it contains no code of that program. NORDIC is covered by US patent 10,768,260
of the University of Minnesota, which holds for every implementation.
"""

import math
from collections.abc import Sequence

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.nordic.options import Options, check_rule, check_series
from mebold.nordic.passes import Progress
from mebold.nordic.patches import automatic_kernel, patch_axes
from mebold.nordic.rank import Rule, noise_edge
from mebold.nordic.run import NordicResult, Run, collect, quiet, slice_model, workers


def nordic(
    magnitude: np.ndarray,
    phase: np.ndarray | None = None,
    *,
    noise_volumes: int = 0,
    method: str = "nordic",
    factor_error: float = 1.0,
    temporal_phase: int = 1,
    phase_filter_width: float = 10,
    kernel_size: Sequence[int] | None = None,
    patch_overlap: float = 2,
    gfactor_kernel_size: Sequence[int] = (14, 14, 1),
    gfactor_volumes: int = 90,
    gfactor_patch_overlap: float = 2,
    gfactor: np.ndarray | None = None,
    threshold: float | None = None,
    phase_range: Sequence[float] | str | None = None,
    compat: bool = False,
    seed: int = 0,
    n_threads: int = 1,
    threshold_draws: int = 0,
    trim_noise_volumes: bool = False,
    with_phase: bool = True,
    progress: Progress | None = None,
) -> NordicResult:
    """Remove thermal noise from an fMRI series by locally low-rank approximation.

    The phase is stabilised slice by slice, the noise level of every voxel is estimated in small
    patches (g-factor map), and in larger patches of the data divided by this map all components
    with a singular value below that of pure noise are removed.

    Parameters
    ----------
    magnitude : (x, y, z, t) array
        Any unit and type; noise volumes included.
    phase : (x, y, z, t) array or None
        Any unit; None denoises the magnitude alone.
    noise_volumes : int
        Number of volumes at the end that were acquired without excitation. They take part in the
        decomposition, and the noise level is measured in all of them (in the first of them with
        `compat`).
    method : {"nordic", "mppca"}
        "mppca" chooses the components by the Marchenko-Pastur rule in each patch.
    factor_error : float
        Multiplies the threshold.
    temporal_phase : {0, 1, 2, 3}
        Removal of the low-pass phase of every slice: 0 none; 1 all elements; 2 as 1, but elements
        whose phase is more than 1 rad off are taken as magnitudes; 3 as 2, in the denoising pass
        only and only for elements above sqrt(2) times the noise.
    phase_filter_width : float
        Exponent of the window of the low-pass filter (10 is usual for fMRI).
    kernel_size : (3,) int or None
        Patch of the denoising pass; None takes a cube with 11 voxels per volume. With no more
        slices than the patch, all slices are taken and the patch widens in plane.
    patch_overlap, gfactor_patch_overlap : float
        Patches start every ``floor(kernel / overlap)`` voxels.
    gfactor_kernel_size : (3,) int
        Patch of the g-factor pass.
    gfactor_volumes : int
        Number of volumes, from the first, in the g-factor pass.
    gfactor : (x, y, z) array or None
        Noise map to use instead of an estimate, convention of `NordicResult.gfactor`; 0 and
        values that are not finite are replaced by the median.
    threshold : float or None
        On the singular values of data divided by the g-factor, for a patch without empty voxels
        (fewer rows have less noise, and a lower one); None computes it.
    phase_range : (low, high), "radians" or None
        Phase values at -pi and +pi; None takes smallest and largest value of the series.
    compat : bool
        Reproduce known faults of the reference program: last row along x lost, sign flips with
        temporal_phase 0 and 3, g-factor values below 1 replaced when there are empty patches,
        empty voxels filled with noise, the threshold of a full patch in partly empty ones, noise
        level from one volume only.
    seed : int
        Of `threshold_draws` and of the noise in empty voxels.
    n_threads : int
        Threads; the result does not depend on them.
    threshold_draws : int
        Number of simulated noise matrices for the threshold; 0 takes a closed form.
    trim_noise_volumes : bool
        Leave the noise volumes out of the result.
    with_phase : bool
        Return the phase.
    progress : callable or None
        Called with the name of the stage and the fraction done.

    Returns
    -------
    NordicResult

    Raises
    ------
    DataError
        Series of the wrong shape, empty, or smaller than a patch.
    GridMismatchError
        Magnitude, phase or `gfactor` of different shapes.
    ConfigError
        Options without meaning.

    Notes
    -----
    Values that are not finite count as 0, with a warning. Memory beyond the input is one complex
    series, which becomes the result, and a few layers of patches.

    References
    ----------
    Moeller et al. 2021, NeuroImage 226:117539, doi 10.1016/j.neuroimage.2020.117539.
    Vizioli et al. 2021, Nat Commun 12:5181, doi 10.1038/s41467-021-25431-8.
    Behaviour compared with NIFTI_NORDIC, SteenMoeller/NORDIC_Raw commit ba924a3.
    """
    magnitude = np.asarray(magnitude)
    phase = None if phase is None else np.asarray(phase)
    check_series(magnitude, phase, noise_volumes)
    check_rule(method, factor_error, threshold)
    options = Options(
        temporal_phase,
        phase_filter_width,
        gfactor_kernel_size,
        gfactor_volumes,
        gfactor_patch_overlap,
        phase_range,
        compat,
    )
    shape, n_volumes = magnitude.shape[:3], magnitude.shape[3]
    kernel = automatic_kernel(shape, n_volumes, kernel_size)
    axes = patch_axes(shape, kernel, patch_overlap, compat=compat, name="kernel_size")
    if gfactor is None:
        options.gfactor_axes(shape)  # an unusable patch must not show after minutes of work
    rows = math.prod(kernel)
    model = slice_model(magnitude, phase, options, noise_volumes)
    with workers(n_threads) as pool:
        run = Run(model, options, progress or quiet, pool)
        run.stabilise()
        run.estimate_gfactor() if gfactor is None else run.use_gfactor(gfactor)
        level = run.noise_level()
        if method == "mppca":
            threshold = None
        elif threshold is None:
            edge = noise_edge(rows, n_volumes, draws=threshold_draws, seed=seed)
            threshold = factor_error * level * math.sqrt(len(run.parts)) * edge
        run.divide(seed)
        maps = run.denoise(axes, Rule(n_volumes, rows, threshold, by_filled_rows=not compat))
        run.restore(with_phase=with_phase)
    threshold = math.nan if threshold is None else float(threshold)
    trim = trim_noise_volumes
    return collect(run, maps, kernel, threshold, level, trim=trim, phase=with_phase)


def shared_gfactor(
    echoes: Sequence[tuple[np.ndarray, np.ndarray | None]],
    *,
    temporal_phase: int = 1,
    phase_filter_width: float = 10,
    gfactor_kernel_size: Sequence[int] = (14, 14, 1),
    gfactor_volumes: int = 90,
    gfactor_patch_overlap: float = 2,
    phase_range: Sequence[float] | str | None = None,
    compat: bool = False,
    n_threads: int = 1,
    progress: Progress | None = None,
) -> np.ndarray:
    """Estimate one noise map for all echoes of a run.

    Thermal noise does not depend on the echo time, so the variances of the echoes are averaged:
    less scatter, and less of the bias that strong signal adds.

    Parameters
    ----------
    echoes : sequence of (magnitude, phase or None)
        Each (x, y, z, t), in one common unit. Any iterable that makes them one after the other
        keeps only one echo in memory.
    temporal_phase, phase_filter_width, gfactor_kernel_size, gfactor_volumes, \
    gfactor_patch_overlap, phase_range, compat, n_threads, progress
        See `nordic`.

    Returns
    -------
    gfactor : (x, y, z) float32
        For ``nordic(..., gfactor=...)`` of every echo.

    Raises
    ------
    DataError
        Without echoes, or an echo that cannot be used.
    GridMismatchError
        Echoes, or magnitude and phase, of different shapes.
    """
    options = Options(
        temporal_phase,
        phase_filter_width,
        gfactor_kernel_size,
        gfactor_volumes,
        gfactor_patch_overlap,
        phase_range,
        compat,
    )
    variances: list[np.ndarray] = []
    with workers(n_threads) as pool:
        for magnitude, phase in echoes:
            variance = _echo_gfactor(magnitude, phase, options, pool, progress or quiet) ** 2
            if variances and variance.shape != variances[0].shape:
                raise GridMismatchError(
                    f"One echo has {variance.shape} voxels, the first {variances[0].shape}."
                )
            variances.append(variance)
    if not variances:
        raise DataError("shared_gfactor needs at least one echo.")
    return np.sqrt(np.mean(variances, axis=0)).astype(np.float32)


def _echo_gfactor(magnitude, phase, options: Options, pool, progress: Progress) -> np.ndarray:
    """g-factor map of one echo in input units: (x, y, z) float64."""
    magnitude = np.asarray(magnitude)
    phase = None if phase is None else np.asarray(phase)
    check_series(magnitude, phase, 0)
    model = slice_model(magnitude, phase, options)
    n_used = min(options.gfactor_volumes, magnitude.shape[3])
    model.magnitude = magnitude[..., :n_used]
    model.phase = None if phase is None else phase[..., :n_used]
    run = Run(model, options, progress, pool)
    run.stabilise()
    run.estimate_gfactor()
    return run.gfactor.astype(np.float64) * model.scale
