"""Arrays to ANTs images and back, and ANTs transforms as the 4 x 4 point maps used here.

ANTs and ITK work in LPS+ world coordinates, this package in RAS+. Both store a transform as a map
from points of the fixed (reference) image to points of the moving image, so only the two signs
change, never the direction.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from mebold.errors import DataError
from mebold.geometry import affines

if TYPE_CHECKING:
    import ants

_FLIP = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Stage:
    """One linear stage of `register_linear`.

    Attributes
    ----------
    transform : str
        ``"Rigid"`` or ``"Affine"``.
    shrink : sequence of int
        Subsampling per level, coarse to fine.
    smoothing_mm : sequence of float
        Gaussian sigma per level in mm.
    iterations : sequence of int
        Largest number of steps per level.
    sampling : float
        Share of the fixed voxels that the metric reads, on a regular lattice.
    converged : float
        Threshold of ANTs' convergence monitor. It falls with the number of steps long after the
        metric stands still: below 1e-7 a rigid fit never came in 100 steps, and the 30 that it
        takes to 1e-6 end at the same place (within 1e-4 mm). Affine fits stop short there.
    """

    transform: str
    shrink: Sequence[int]
    smoothing_mm: Sequence[float]
    iterations: Sequence[int]
    sampling: float
    converged: float = 1e-6


def load_ants() -> ModuleType:
    """Import antspyx with one thread, unless the environment asks for more.

    With several threads ITK sums its metric in varying order and results differ in the last digits
    from run to run.
    """
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
    import ants

    return ants


def seed_arguments(seed: int) -> list[str]:
    """Spell a seed, 0 or more, for antsRegistration, which takes 0 for "seed me by the clock"."""
    if seed < 0:
        message = f"the seed is {seed}; accepted: 0 or more."
        raise DataError(message)
    return ["--random-seed", str(int(seed) + 1)]


def to_ants(volume: np.ndarray, affine: np.ndarray) -> "ants.ANTsImage":
    """Make an ANTs image of a volume.

    Parameters
    ----------
    volume : (x, y, z) array
        Any numeric or bool type; stored as float32.
    affine : (4, 4) array
        Voxel to world, RAS+ mm; the axes must be perpendicular.

    Returns
    -------
    ANTsImage
        The same voxels at the same places, in LPS+ terms.

    Raises
    ------
    DataError
        When the volume is not 3D, holds non-finite values, or the affine is singular or sheared
        (ITK images cannot express shear).
    """
    volume = np.asarray(volume, dtype=np.float32)
    if volume.ndim != 3:
        message = f"an ANTs image is made from a 3D volume, got shape {volume.shape}."
        raise DataError(message)
    if not np.all(np.isfinite(volume)):
        message = f"{np.sum(~np.isfinite(volume))} voxels are not finite; replace them first."
        raise DataError(message)
    spacing, direction, origin = _geometry(affine)
    return load_ants().from_numpy(
        volume, origin=tuple(origin), spacing=tuple(spacing), direction=direction
    )


def from_ants(image: "ants.ANTsImage") -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels (x, y, z) float32 and the RAS+ affine (4, 4) of an ANTs image."""
    affine = np.eye(4)
    affine[:3, :3] = _FLIP @ np.asarray(image.direction) * np.asarray(image.spacing)
    affine[:3, 3] = _FLIP @ np.asarray(image.origin)
    return np.asarray(image.numpy(), dtype=np.float32), affine


def matrix_from_file(path: str | Path) -> np.ndarray:
    """Read a linear ANTs transform (``.mat``) as a point map fixed -> moving.

    Parameters
    ----------
    path : path-like
        Rigid or affine transform written by ANTs.

    Returns
    -------
    (4, 4) float64 array
        RAS+ mm.
    """
    transform = load_ants().read_transform(str(path))
    parameters = np.asarray(transform.parameters, dtype=np.float64)
    centre = np.asarray(transform.fixed_parameters, dtype=np.float64)[:3]
    if parameters.size != 12:
        message = f"{path}: {parameters.size} parameters, a matrix transform has 12."
        raise DataError(message)
    lps = np.eye(4)
    lps[:3, :3] = parameters[:9].reshape(3, 3)
    lps[:3, 3] = parameters[9:] + centre - lps[:3, :3] @ centre
    return affines.ras_to_lps(lps)


def matrix_to_file(path: str | Path, matrix: np.ndarray, centre: np.ndarray | None = None) -> None:
    """Write a point map (4, 4), RAS+ mm, as an ANTs ``.mat``, about `centre` (RAS+ mm)."""
    ants = load_ants()
    centre = np.zeros(3) if centre is None else _FLIP @ np.asarray(centre, dtype=np.float64)
    lps = affines.ras_to_lps(matrix)
    shift = lps[:3, 3] - centre + lps[:3, :3] @ centre
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", precision="double", dimension=3
    )
    transform.set_fixed_parameters(centre)
    transform.set_parameters(np.concatenate([lps[:3, :3].ravel(), shift]))
    ants.write_transform(transform, str(path))


def nearest_rigid(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with its 3 x 3 part replaced by the nearest rotation."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    rigid = np.array(matrix, dtype=np.float64)
    rigid[:3, :3] = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return rigid


def register_linear(
    fixed: tuple[np.ndarray, np.ndarray],
    moving: tuple[np.ndarray, np.ndarray],
    *,
    stages: Sequence[Stage],
    seed: int,
    fixed_mask: np.ndarray | None = None,
    moving_mask: np.ndarray | None = None,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """Align two volumes by Mattes mutual information.

    Parameters
    ----------
    fixed, moving : (volume (x, y, z), affine (4, 4))
        Grids may differ.
    stages : sequence of Stage
        Run in order; every stage starts where the one before ended.
    seed : int
        Of the sampling, 0 or more; one seed and one thread give one result.
    fixed_mask, moving_mask : (x, y, z) bool array, optional
        Voxels that the metric may read.
    initial : (4, 4) array, optional
        Point map fixed -> moving to start from, RAS+ mm; identity by default.

    Returns
    -------
    (4, 4) float64 array
        Point map fixed -> moving, RAS+ mm.

    References
    ----------
    antsRegistration of ANTs (antspyx 0.6.3); Mattes et al. 2003, IEEE TMI 22:120.
    """
    ants = load_ants()
    # antsRegistration reads the memory of its images as the type of --float, unchecked.
    images = [to_ants(*image).clone("double") for image in (fixed, moving)]
    masks = [
        None if mask is None else to_ants(mask, affine) != 0
        for mask, (_, affine) in ((fixed_mask, fixed), (moving_mask, moving))
    ]
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start.mat"
        centre = affines.apply(fixed[1], (np.asarray(fixed[0].shape) - 1) / 2)
        matrix_to_file(start, np.eye(4) if initial is None else initial, centre)
        prefix = str(Path(folder) / "out")
        arguments = ["--dimensionality", "3", "--float", "0", *seed_arguments(seed)]
        arguments += ["--output", prefix, "--initial-moving-transform", f"[{start},0]"]
        arguments += ["--collapse-output-transforms", "1", "--winsorize-image-intensities"]
        arguments += ["[0.005,0.995]"]
        for stage in stages:
            arguments += _stage_arguments(stage, images, masks)
        ants.registration(arguments, None)
        return matrix_from_file(prefix + "0GenericAffine.mat")


def _stage_arguments(stage: Stage, images: list, masks: list) -> list[str]:
    """Spell one stage for antsRegistration."""
    from ants.internal import get_pointer_string

    fixed, moving = (get_pointer_string(image) for image in images)
    names = ["NA" if mask is None else get_pointer_string(mask) for mask in masks]
    return [
        "--transform",
        f"{stage.transform}[0.1]",
        "--metric",
        f"Mattes[{fixed},{moving},1,32,Regular,{stage.sampling}]",
        "--convergence",
        f"[{joined(stage.iterations)},{stage.converged:g},10]",
        "--shrink-factors",
        joined(stage.shrink),
        "--smoothing-sigmas",
        joined(stage.smoothing_mm) + "mm",
        "--masks",
        f"[{names[0]},{names[1]}]",
    ]


def joined(values: Sequence[float]) -> str:
    """Join numbers by x."""
    return "x".join(f"{value:g}" for value in values)


def _geometry(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split an affine into ITK spacing, direction and origin (LPS+)."""
    affine = np.asarray(affine, dtype=np.float64)
    spacing = affines.voxel_sizes(affine)
    if np.any(spacing <= 0):
        message = f"an affine with a zero column has no voxel size: {affine.tolist()}."
        raise DataError(message)
    direction = affine[:3, :3] / spacing
    shear = np.abs(direction.T @ direction - np.eye(3)).max()
    if shear > 1e-3:
        message = (
            f"the axes of the image are not perpendicular (largest cosine {shear:.4f}): "
            "resample it to a grid without shear."
        )
        raise DataError(message)
    return spacing, _FLIP @ direction, _FLIP @ affine[:3, 3]
