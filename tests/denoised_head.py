"""A simulated run through the real denoiser, and what decides about survival there."""

import warnings

import responding_head

from mebold.nordic import survival
from mebold.nordic.denoise import nordic


def denoised(run: responding_head.Run, kernel_size: tuple | None = None):
    """Denoise a run with the options of the workflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = None if run.phase is None else "radians"
        return nordic(run.magnitude, run.phase, kernel_size=kernel_size, phase_range=unit)


def patches_of(run: responding_head.Run, result, responding) -> survival.Patches:
    """Take what decides about survival from a denoised run."""
    return survival.patches_of(
        run.magnitude.mean(axis=3),
        result.gfactor,
        result.noise_sd,
        is_complex=run.phase is not None,
        n_volumes=run.magnitude.shape[3],
        threshold=result.threshold,
        kernel_size=result.kernel_size,
        patch_overlap=2,
        compat=False,
        responding=responding,
    )
