"""What an acquisition needs besides the head: packed components, receiver, poses, one volume."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import coil, kernels
from mebold.phantom.scene import Scene
from mebold.phantom.spec import PhantomSpec


def slope_along(scene: Scene, field_hz: np.ndarray, step_mm: np.ndarray) -> np.ndarray:
    """Return how much the field changes over a step.

    Parameters
    ----------
    scene : Scene
    field_hz : (X, Y, Z) float32 array
        From `field_at`.
    step_mm : (3,) array
        One voxel along an axis of the acquisition, as a vector of the head frame.

    Returns
    -------
    (X, Y, Z) float32 array
        Hz a step, on the head grid.
    """
    index_step = np.linalg.inv(scene.affine)[:3, :3] @ step_mm
    return sum(
        step * gradient for step, gradient in zip(index_step, np.gradient(field_hz), strict=True)
    )


def slice_slope(
    spec: PhantomSpec, scene: Scene, field_hz: np.ndarray, step_mm: np.ndarray
) -> np.ndarray:
    """Return the change of the field through a slice, by `slope_along`; 0 without `dephasing`."""
    if not spec.dephasing:
        return np.zeros_like(field_hz)
    return slope_along(scene, field_hz, step_mm)


def dropout_maps(
    through_slice: np.ndarray,
    matrix: np.ndarray,
    shape: tuple[int, ...],
    echo_times_s: tuple[float, ...],
) -> np.ndarray:
    """Return the share of signal that is left when the phases within a slice differ.

    Parameters
    ----------
    through_slice : (X, Y, Z) array
        From `slice_slope`: s, in Hz.
    matrix, shape : acquisition, as in `on_grid`
    echo_times_s : (E,) tuple of float

    Returns
    -------
    (E, x, y, z) float32 array
        0 to 1: ``|sin(pi s TE) / (pi s TE)|``, of slices with a rectangular profile.
    """
    slope = on_grid(through_slice, matrix, shape)
    return np.stack([np.abs(np.sinc(slope * np.float32(te))) for te in echo_times_s])


def components(
    scene: Scene,
    signal: np.ndarray,
    field_hz: np.ndarray,
    slopes: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Pack what `kernels.acquire` interpolates.

    Parameters
    ----------
    scene : Scene
    signal : (X, Y, Z) float32 array
        At TE 0, stored units.
    field_hz : (X, Y, Z) float32 array
        From `field_at`.
    slopes : pair of (X, Y, Z) float32 arrays
        Change of the field per voxel along the phase-encoding axis and through the slice, Hz,
        from `slope_along` and `slice_slope`; 0 leaves out what it causes.

    Returns
    -------
    (Z, Y, X, 5 + K) float32 array
    """
    fixed = [signal, scene.r2star, field_hz, *slopes]
    n_patterns = scene.patterns.shape[-1]
    packed = np.empty((*signal.T.shape, len(fixed) + n_patterns), dtype=np.float32)
    for channel, values in enumerate(fixed):
        packed[..., channel] = values.T
    packed[..., len(fixed) :] = scene.patterns.transpose(2, 1, 0, 3)
    return packed


@dataclass(frozen=True)
class Receiver:
    """What belongs to the scanner and not to the head, on one acquisition grid.

    Attributes
    ----------
    bias : (x, y, z) float32 array
        Receive sensitivity, about 1.
    phase : (x, y, z) float32 array
        Phase of the combined coils, radians.
    gfactor : (x, y, z) float32 array
        Noise amplification, at least 1.
    """

    bias: np.ndarray
    phase: np.ndarray
    gfactor: np.ndarray


def make_receiver(
    spec: PhantomSpec, shape: tuple[int, int, int], affine: np.ndarray, centre: np.ndarray
) -> Receiver:
    """Return the coil's sensitivity, phase and g-factor at the voxels of a grid.

    Parameters
    ----------
    spec : PhantomSpec
        `bias_strength`, `coil_elements`, `gfactor_peak`.
    shape, affine : acquisition grid
    centre : (3,) array
        Middle of the coil, scanner mm.

    Returns
    -------
    Receiver
    """
    offset = affines.grid_points(shape, affine) - centre
    x, y, z = (offset / 100).T
    if spec.coil_elements:
        bias = coil.sensitivity(offset, spec.coil_elements)
    else:
        near = 0.7 * (x**2 + (y + 0.1) ** 2 + z**2) + 0.25 * x - 0.35 * y + 0.2 * x * z
        bias = np.exp(spec.bias_strength * (2 * near - 0.5))
    phase = 1.5 * np.sin(2.1 * x + 0.7) + 1.9 * np.cos(1.7 * y - 1.1 * z) + 1.2 * z + 0.8 * x * y
    index = np.indices(shape).reshape(3, -1).T / (np.array(shape) - 1) - 0.5
    hill = np.exp(-((index / (0.24, 0.28, 0.45)) ** 2).sum(axis=1) / 2)
    ripple = 0.12 * np.cos(2 * np.pi * 3 * index[:, 1]) * np.cos(2 * np.pi * index[:, 0])
    gfactor = 1 + (spec.gfactor_peak - 1) * np.clip(hill * (1 + ripple), 0, None)
    maps = [v.reshape(shape).astype(np.float32) for v in (bias, phase, gfactor)]
    return Receiver(*maps)


def acquisition_matrices(
    scene_affine: np.ndarray, head_to_scanner: np.ndarray, acquisition_affine: np.ndarray
) -> np.ndarray:
    """Return (..., 3, 4) maps from acquisition voxels to head-grid indices.

    Parameters
    ----------
    scene_affine : (4, 4) array
        Head grid.
    head_to_scanner : (..., 4, 4) array
        Poses.
    acquisition_affine : (4, 4) array
        Grid of the scan.

    Returns
    -------
    (..., 3, 4) float64 array
    """
    scanner_to_head = np.linalg.inv(head_to_scanner)
    return (np.linalg.inv(scene_affine) @ scanner_to_head @ acquisition_affine)[..., :3, :]


def on_grid(volume: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sample a head-grid map at the undistorted voxels of a still acquisition grid.

    Parameters
    ----------
    volume : (X, Y, Z) array
        On the head grid.
    matrix : (3, 4) array
        From `acquisition_matrices`.
    shape : (3,) tuple of int
        Size of the acquisition grid.

    Returns
    -------
    (x, y, z) float32 array
    """
    index = np.indices(shape).reshape(3, -1)
    position = matrix[:, :3] @ index + matrix[:, 3:]
    values = ndimage.map_coordinates(volume, position, order=1, mode="nearest")
    return values.reshape(shape).astype(np.float32)


def in_grid(points: np.ndarray, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which points lie inside an acquisition grid at every one of several poses.

    Parameters
    ----------
    points : (N, 3) array
        Head mm.
    matrices : (P, 4, 4) array
        Head point to acquisition voxel.
    shape : (3,) tuple of int
        Size of the acquisition grid; the outermost voxels belong to it with their whole width.

    Returns
    -------
    (N,) bool array
    """
    last = np.array(shape) - 0.5
    index = affines.apply(matrices[0], points)
    inside = ((index >= -0.5) & (index <= last)).all(axis=1)
    # No point moves farther from the first pose than a corner of the box around all of them.
    box = np.stack([points.min(axis=0), points.max(axis=0)])
    corners = np.array([np.diag(box[list(choice)]) for choice in np.ndindex(2, 2, 2)])
    places = np.array([affines.apply(matrix, corners) for matrix in matrices])
    reach = np.abs(places - places[0]).max(axis=(0, 1))
    near = np.flatnonzero(inside & ((index < reach - 0.5) | (index > last - reach)).any(axis=1))
    for matrix in matrices[1:]:
        index = affines.apply(matrix, points[near])
        inside[near] &= ((index >= -0.5) & (index <= last)).all(axis=1)
    return inside


def kernel_layout(volume: np.ndarray) -> np.ndarray:
    """Return an (x, y, z) map in the kernels' (z, y, x) order, contiguous float32."""
    return np.ascontiguousarray(volume.T, dtype=np.float32)


def still_volume(
    packed: np.ndarray,
    matrix: np.ndarray,
    receiver: Receiver,
    *,
    echo_times_s: tuple[float, ...],
    readout_s: float = 0.0,
) -> np.ndarray:
    """Acquire one volume of a head that keeps still and does nothing, without noise.

    Parameters
    ----------
    packed : (Z, Y, X, C) float32 array
        From `components`.
    matrix : (3, 4) array
        From `acquisition_matrices`.
    receiver : Receiver
    echo_times_s : tuple of float
    readout_s : float
        Signed total readout time, voxels per Hz; 0 for no distortion.

    Returns
    -------
    (E, z, y, x) complex64 array
    """
    nz, ny, nx = receiver.bias.T.shape
    n_patterns = packed.shape[3] - kernels.N_FIXED
    out = np.empty((len(echo_times_s), nz, ny, nx), dtype=np.complex64)
    zeros = np.zeros((nz, n_patterns), dtype=np.float32)
    kernels.acquire(
        packed,
        np.empty(packed.shape[:3], dtype=np.int32),
        np.zeros((nz, 0), dtype=np.float32),
        np.ascontiguousarray(np.broadcast_to(matrix, (nz, 3, 4))),
        zeros,
        zeros,
        np.zeros(nz, dtype=np.float32),
        float(readout_s),
        np.array(echo_times_s, dtype=np.float64),
        1.0,
        kernel_layout(receiver.bias),
        kernel_layout(receiver.phase),
        np.zeros((nz, ny, nx), dtype=np.float32),
        out,
    )
    return out
